//! A model's weights as data: one table per architecture.
//!
//! A [`Row`] says what a weight is called in the model file, what it is, its shape, the tensors it
//! is made of, and which rows it multiplies. The loader, the converter, `estimate`, random models
//! and `FORMAT.md`'s list of sections all read these tables. They stand in
//! [`model::architectures`](crate::model::architectures).

use crate::config::{Activations, Head, Matrix, ModelConfig, Precision};

/// How a weight is stored, and how it is made of its tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A table `[rows, width]`, read one row at a time.
    Table,
    /// A table of a few rows: f32 unless the user asks for less.
    SmallTable,
    /// A [`Kind::SmallTable`] with a bias for each row.
    TableWithBias,
    /// Scale and shift of a layer norm, both `[width]`.
    Norm,
    /// A matrix `[n, k]`. Several tensors stand one under the other.
    Linear,
    /// A [`Kind::Linear`] whose input is a layer norm's output: an int8 weight has an input scale.
    AfterNorm,
    /// One matrix per attention head: the head's rows of the tensor.
    HeadRows,
    /// One matrix per attention head: the head's rows of the tensor, transposed. Its bias is zero,
    /// because the tensor's bias does not change the softmax.
    HeadRowsTransposed,
}

impl Kind {
    /// Whether the weight is a table, of which only single rows are read.
    pub fn is_table(self) -> bool {
        matches!(self, Kind::Table | Kind::SmallTable | Kind::TableWithBias)
    }

    /// Whether the weight is a matrix, or a stack of them.
    pub fn is_matrix(self) -> bool {
        !self.is_table() && self != Kind::Norm
    }

    /// Whether the weight's tensors have biases.
    pub fn has_bias(self) -> bool {
        !matches!(self, Kind::Table | Kind::SmallTable)
    }

    /// The kind's name in `FORMAT.md`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Table | Kind::SmallTable => "table",
            Kind::TableWithBias => "table with bias",
            Kind::Norm => "norm",
            Kind::Linear => "linear",
            Kind::AfterNorm => "linear after norm",
            Kind::HeadRows | Kind::HeadRowsTransposed => "stack",
        }
    }
}

/// A size that shapes are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// `vocab_size`
    Vocab,
    /// `max_position_embeddings`
    Positions,
    /// `type_vocab_size`
    Segments,
    /// `embedding_size`
    Embedding,
    /// `hidden_size`
    Hidden,
    /// Three times `hidden_size`.
    Hidden3,
    /// `intermediate_size`
    Inner,
    /// `num_attention_heads`
    Heads,
    /// `hidden_size / num_attention_heads`
    HeadDim,
    /// `num_labels`, 0 for an encoder
    Labels,
}

impl Size {
    /// The size in a model of this shape.
    pub fn of(self, config: &ModelConfig) -> usize {
        match self {
            Size::Vocab => config.vocab_size,
            Size::Positions => config.max_position_embeddings,
            Size::Segments => config.type_vocab_size,
            Size::Embedding => config.embedding_size(),
            Size::Hidden => config.hidden_size,
            Size::Hidden3 => 3 * config.hidden_size,
            Size::Inner => config.intermediate_size,
            Size::Heads => config.num_attention_heads,
            Size::HeadDim => config.head_dim(),
            Size::Labels => match config.head {
                Head::Classifier { num_labels } => num_labels,
                Head::Encoder { .. } => 0,
            },
        }
    }

    /// The size's name in `FORMAT.md`.
    pub fn name(self) -> &'static str {
        match self {
            Size::Vocab => "vocab_size",
            Size::Positions => "max_position_embeddings",
            Size::Segments => "type_vocab_size",
            Size::Embedding => "e",
            Size::Hidden => "h",
            Size::Hidden3 => "3 h",
            Size::Inner => "f",
            Size::Heads => "a",
            Size::HeadDim => "d",
            Size::Labels => "num_labels",
        }
    }
}

/// Where a weight stands. This decides which models have it and which rows a matrix multiplies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Before the layers. Tokens that all sequences of a request share are computed once.
    Embeddings,
    /// Between embeddings and layers, if their widths differ.
    Projection,
    /// The input projection of layers that compute every token. In layer 0, shared tokens are
    /// computed once.
    LayerInput,
    /// The part of a last layer that computes first tokens only, in place of
    /// [`Place::LayerInput`].
    FirstToken,
    /// The rest of every layer.
    Layer,
    /// After the layers of a classifier: one row per sequence.
    Classifier,
}

impl Place {
    /// The place's name in `FORMAT.md`.
    pub fn name(self) -> &'static str {
        match self {
            Place::Embeddings => "once",
            Place::Projection => "models with e different from h",
            Place::LayerInput => "layers that compute every token",
            Place::FirstToken => "a last layer that computes first tokens only",
            Place::Layer => "every layer",
            Place::Classifier => "classifiers",
        }
    }
}

/// A row of an architecture's table. In names, `.N.` stands for the number of the layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Name in the model file, before `.weight`, `.bias`, `.scale`, `.sum`, `.input_scale`.
    pub name: &'static str,
    /// How the weight is stored and made.
    pub kind: Kind,
    /// Shape of `.weight`.
    pub shape: &'static [Size],
    /// Names of its tensors in a source, before `.weight` and `.bias`.
    pub tensors: &'static [&'static str],
    /// Where it stands.
    pub place: Place,
    /// The config's bit for its activations, in layers that compute every token. All other int8
    /// matrices have activations of 16 bits.
    pub activations: Option<Matrix>,
    /// What its shape means, where that is not obvious.
    pub note: &'static str,
}

/// The weights of an architecture, in file order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Before the layers.
    pub embeddings: &'static [Row],
    /// Once for every layer.
    pub layer: &'static [Row],
    /// After the layers.
    pub head: &'static [Row],
}

impl Table {
    /// All rows.
    pub fn rows(&self) -> impl Iterator<Item = &'static Row> {
        self.embeddings.iter().chain(self.layer).chain(self.head)
    }

    /// The table as Markdown, for `FORMAT.md`.
    pub fn markdown(&self) -> String {
        let mut text =
            String::from("| weight | kind | `.weight` shape | stands in |\n|---|---|---|---|\n");
        for row in self.rows() {
            let shape: Vec<&str> = row.shape.iter().map(|size| size.name()).collect();
            let note = if row.note.is_empty() { "" } else { ": " };
            text.push_str(&format!(
                "| `{}` | {} | `[{}]`{note}{} | {} |\n",
                row.name,
                row.kind.name(),
                shape.join(", "),
                row.note,
                row.place.name(),
            ));
        }
        text
    }
}

/// The weights of one model.
#[derive(Debug, Clone)]
pub struct Schema<'a> {
    config: &'a ModelConfig,
    table: &'static Table,
}

impl<'a> Schema<'a> {
    pub(crate) fn new(config: &'a ModelConfig, table: &'static Table) -> Self {
        Schema { config, table }
    }

    /// The weights, in file order.
    pub fn weights(&self) -> Weights<'a> {
        Weights {
            schema: self.clone(),
            next: 0,
            norm: None,
        }
    }

    /// All tensors that a source must have, and their shapes.
    pub fn tensors(&self) -> impl Iterator<Item = (String, Vec<usize>)> {
        self.weights().flat_map(|weight| weight.tensor_shapes())
    }

    /// The steps of computing these sequences, each with its number of multiply-adds.
    pub fn steps(&self, extent: Extent) -> impl Iterator<Item = (Step, u64)> {
        let (config, layers) = (self.config, self.config.num_hidden_layers as u64);
        let hidden = config.hidden_size as u64;
        let heads = config.num_attention_heads as u64;
        let first = u64::from(config.cls_only());
        let products = self.weights().filter_map(move |weight| {
            let rows = match weight.rows? {
                Rows::Own => extent.own,
                Rows::Tokens => extent.tokens,
                Rows::Sequences => extent.sequences,
            };
            let size: usize = weight.shape.iter().product();
            Some((Step::Product(weight.activations), rows * size as u64))
        });
        // Scores, and means of the values.
        let attention = (layers - first) * 2 * extent.squares * hidden;
        let first_attention = first * 2 * heads * extent.tokens * hidden;
        products.chain([
            (Step::Attention, attention),
            (Step::FirstTokenAttention, first_attention),
        ])
    }
}

/// How much there is to compute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// Number of sequences.
    pub sequences: u64,
    /// Their tokens.
    pub tokens: u64,
    /// Their tokens, with those that all sequences share counted once.
    pub own: u64,
    /// The sum of their squared lengths.
    pub squares: u64,
}

/// A step of a forward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A matrix product, and the config's bit for its activations.
    Product(Option<Matrix>),
    /// Attention of every token. Half of it are scores, half means of values.
    Attention,
    /// Attention of first tokens only, in f32.
    FirstTokenAttention,
}

/// Rows that a matrix multiplies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// Every token, those that sequences share only once.
    Own,
    /// Every token.
    Tokens,
    /// One row per sequence.
    Sequences,
}

/// A [`Row`] in a model of known shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weight {
    /// Name in the model file, before `.weight`, `.bias`, `.scale`, `.sum`, `.input_scale`.
    pub name: String,
    /// How the weight is stored and made.
    pub kind: Kind,
    /// Shape of `.weight`.
    pub shape: Vec<usize>,
    /// Names of its tensors in a source, before `.weight` and `.bias`.
    pub tensors: Vec<String>,
    /// Shape of each tensor's `.weight`.
    pub tensor_shape: Vec<usize>,
    /// For [`Kind::AfterNorm`]: the tensors' name of the norm whose output it reads. `None` behind a
    /// projection, which is no norm: its input scale is 1.
    pub input_norm: Option<String>,
    /// The config's bit for its activations; `None`: 16 bits.
    pub activations: Option<Matrix>,
    /// Rows that it multiplies; `None` for tables and norms.
    pub rows: Option<Rows>,
}

impl Weight {
    /// Bits of the activations that it multiplies, if it is int8.
    pub fn precision(&self, activations: Activations) -> Precision {
        self.activations
            .map_or(Precision::Sixteen, |matrix| activations.of(matrix))
    }

    /// The names of its tensors in a source, `.weight` and `.bias` included, and their shapes.
    pub fn tensor_shapes(&self) -> Vec<(String, Vec<usize>)> {
        let mut all = Vec::with_capacity(2 * self.tensors.len());
        for tensor in &self.tensors {
            all.push((format!("{tensor}.weight"), self.tensor_shape.clone()));
            if self.kind.has_bias() {
                all.push((format!("{tensor}.bias"), self.tensor_shape[..1].to_vec()));
            }
        }
        all
    }
}

/// Iterator over a model's weights, made one at a time: a hostile file cannot ask for more memory
/// than one of them takes.
#[derive(Debug, Clone)]
pub struct Weights<'a> {
    schema: Schema<'a>,
    /// Index of the next row, with the layer's rows counted once for each layer.
    next: usize,
    /// Tensor name of the last norm.
    norm: Option<String>,
}

impl Iterator for Weights<'_> {
    type Item = Weight;

    fn next(&mut self) -> Option<Weight> {
        loop {
            let (row, layer) = self.row(self.next)?;
            self.next += 1;
            if self.has(row, layer) {
                return Some(self.weight(row, layer));
            }
        }
    }
}

impl Weights<'_> {
    /// Row `index` and its layer.
    fn row(&self, index: usize) -> Option<(&'static Row, Option<usize>)> {
        let Table {
            embeddings,
            layer,
            head,
        } = self.schema.table;
        if let Some(row) = embeddings.get(index) {
            return Some((row, None));
        }
        let index = index - embeddings.len();
        let layers = self.schema.config.num_hidden_layers;
        if index < layers * layer.len() {
            return Some((&layer[index % layer.len()], Some(index / layer.len())));
        }
        Some((head.get(index - layers * layer.len())?, None))
    }

    /// Whether this layer computes first tokens only.
    fn is_first_token_layer(&self, layer: Option<usize>) -> bool {
        let config = self.schema.config;
        config.cls_only() && layer == Some(config.num_hidden_layers - 1)
    }

    fn has(&self, row: &Row, layer: Option<usize>) -> bool {
        match row.place {
            Place::Embeddings | Place::Layer => true,
            Place::Projection => {
                self.schema.config.embedding_size() != self.schema.config.hidden_size
            }
            Place::LayerInput => !self.is_first_token_layer(layer),
            Place::FirstToken => self.is_first_token_layer(layer),
            Place::Classifier => matches!(self.schema.config.head, Head::Classifier { .. }),
        }
    }

    fn weight(&mut self, row: &Row, layer: Option<usize>) -> Weight {
        let config = self.schema.config;
        let numbered = |name: &&str| match layer {
            Some(layer) => name.replace(".N.", &format!(".{layer}.")),
            None => name.to_string(),
        };
        let shape: Vec<usize> = row.shape.iter().map(|size| size.of(config)).collect();
        let tensors: Vec<String> = row.tensors.iter().map(numbered).collect();
        let input_norm = match row.kind {
            Kind::AfterNorm => self.norm.clone(),
            _ => None,
        };
        if row.kind == Kind::Norm {
            self.norm = tensors.first().cloned();
        } else if row.place == Place::Projection {
            self.norm = None;
        }
        let every_token = matches!(row.place, Place::LayerInput | Place::Layer)
            && !self.is_first_token_layer(layer);
        let rows = match row.place {
            Place::Embeddings | Place::Projection => Rows::Own,
            Place::LayerInput if layer == Some(0) => Rows::Own,
            _ if every_token => Rows::Tokens,
            _ => Rows::Sequences,
        };
        Weight {
            name: numbered(&row.name),
            kind: row.kind,
            tensor_shape: tensor_shape(row.kind, &shape, tensors.len()),
            shape,
            tensors,
            input_norm,
            activations: row.activations.filter(|_| every_token),
            rows: row.kind.is_matrix().then_some(rows),
        }
    }
}

/// The shape of each of a weight's `count` tensors.
fn tensor_shape(kind: Kind, shape: &[usize], count: usize) -> Vec<usize> {
    match (kind, shape) {
        (Kind::HeadRows, &[heads, n, k]) => vec![heads * n, k],
        (Kind::HeadRowsTransposed, &[heads, n, k]) => vec![heads * k, n],
        (_, &[n, k]) => vec![n / count.max(1), k],
        _ => shape.to_vec(),
    }
}
