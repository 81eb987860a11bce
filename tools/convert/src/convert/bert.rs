//! Which of BERT's tensors become which sections.

use lanerank::format::directory::GROUP;
use lanerank::format::directory::{Dtype, Layout};
use lanerank::format::write::{Draft, Plan};
use lanerank::model::{Head, ModelConfig};

use super::activations::is_deep;
use super::integers::{KeptRows, write_int8_panels};
use super::matrix::{write_groups, write_panels, write_part, write_rows};
use super::smoothing::{divide_columns, input_scale};
use super::tensors::{check_shape, read};
use super::{ConvertOptions, WeightDtype};
use crate::error::Error;
use crate::source::{IntegerRows, TensorSource};

/// How a weight is made of its tensors.
enum Kind {
    /// A row-major table `[rows, width]`, without a bias; in int8 with a scale a row.
    Table,
    /// The same; in int8 with a scale for each group of a row.
    GroupedTable,
    /// A row-major table `[rows, width]` with a bias `[rows]`.
    TableWithBias,
    /// Matrices `[n, k]` one under the other, in panels.
    Linear,
    /// The same, of the output of the layer norm with this tensor name: an int8 weight is divided by
    /// an input scale, which evens out how wide that norm's channels are.
    AfterNorm(String),
    /// One matrix a head: the head's rows of `[hidden, hidden]`.
    HeadRows,
    /// One matrix a head: the head's rows of `[hidden, hidden]`, transposed; its bias is left out
    /// because it does not change the softmax.
    HeadRowsTransposed,
    /// Scale and shift, both `[width]`.
    LayerNorm,
}

/// A weight of the model file and the tensors it is made of.
pub struct Weight {
    /// Its name, before `.weight`, `.bias`, `.scale`, `.sum`.
    pub name: String,
    kind: Kind,
    dtype: Dtype,
    /// Shape of `.weight`; `[n, k]` or `[heads, n, k]`.
    shape: Vec<usize>,
    /// Tensors in the source, before `.weight` and `.bias`, and the shape of each `.weight`.
    tensors: Vec<String>,
    tensor_shape: Vec<usize>,
}

/// All weights, in file order.
pub fn weights(config: &ModelConfig, options: &ConvertOptions) -> Vec<Weight> {
    let mut list = List {
        options,
        weights: Vec::new(),
    };
    list.embeddings(config);
    for layer in 0..config.num_hidden_layers {
        let last = layer + 1 == config.num_hidden_layers;
        list.layer(config, layer, last && config.cls_only());
    }
    if let Head::Classifier { num_labels } = config.head {
        let hidden = config.hidden_size;
        let pooler = vec!["pooler.dense".to_owned()];
        list.linear("pooler", &[hidden, hidden], pooler);
        list.push(
            "classifier",
            Kind::TableWithBias,
            WeightDtype::F32,
            &[num_labels, hidden],
            vec!["classifier".into()],
            &[num_labels, hidden],
        );
    }
    list.weights
}

struct List<'a> {
    options: &'a ConvertOptions,
    weights: Vec<Weight>,
}

impl List<'_> {
    fn push(
        &mut self,
        name: &str,
        kind: Kind,
        default: WeightDtype,
        shape: &[usize],
        tensors: Vec<String>,
        tensor_shape: &[usize],
    ) {
        self.weights.push(Weight {
            name: name.into(),
            dtype: match kind {
                Kind::LayerNorm => Dtype::F32,
                _ => self.options.dtype_of(name, default),
            },
            kind,
            shape: shape.to_vec(),
            tensors,
            tensor_shape: tensor_shape.to_vec(),
        });
    }

    fn linear(&mut self, name: &str, shape: &[usize; 2], tensors: Vec<String>) {
        self.matrices(name, Kind::Linear, shape, tensors);
    }

    fn matrices(&mut self, name: &str, kind: Kind, shape: &[usize; 2], tensors: Vec<String>) {
        let rows = shape[0] / tensors.len();
        let each = [rows, shape[1]];
        let dtype = self.options.dtype;
        self.push(name, kind, dtype, shape, tensors, &each);
    }

    fn norm(&mut self, name: &str, hidden: usize, tensor: String) {
        let f32 = WeightDtype::F32;
        self.push(
            name,
            Kind::LayerNorm,
            f32,
            &[hidden],
            vec![tensor],
            &[hidden],
        );
    }

    fn embeddings(&mut self, config: &ModelConfig) {
        let hidden = config.hidden_size;
        let main = self.options.dtype;
        let kind = || match is_deep(config) {
            true => Kind::GroupedTable,
            false => Kind::Table,
        };
        for (name, tensor, rows, dtype) in [
            ("word", "word", config.vocab_size, main),
            ("position", "position", config.max_position_embeddings, main),
            (
                "token_type",
                "token_type",
                config.type_vocab_size,
                WeightDtype::F32,
            ),
        ] {
            self.push(
                &format!("embeddings.{name}"),
                kind(),
                dtype,
                &[rows, hidden],
                vec![format!("embeddings.{tensor}_embeddings")],
                &[rows, hidden],
            );
        }
        self.norm(
            "embeddings.layer_norm",
            hidden,
            "embeddings.LayerNorm".into(),
        );
    }

    fn layer(&mut self, config: &ModelConfig, layer: usize, cls_only: bool) {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let own = format!("layers.{layer}");
        let theirs = format!("encoder.layer.{layer}");
        let attention = |part: &str| format!("{theirs}.attention.self.{part}");
        if cls_only {
            self.cls_attention(config, &own, attention);
        } else {
            let parts = ["query", "key", "value"].map(attention).to_vec();
            let input = match layer.checked_sub(1) {
                Some(before) => format!("encoder.layer.{before}.output.LayerNorm"),
                None => "embeddings.LayerNorm".into(),
            };
            let name = format!("{own}.attention.qkv");
            self.matrices(&name, Kind::AfterNorm(input), &[3 * hidden, hidden], parts);
        }
        let dense = |part: &str| vec![format!("{theirs}.{part}.dense")];
        let square = [hidden, hidden];
        self.linear(
            &format!("{own}.attention.output"),
            &square,
            dense("attention.output"),
        );
        let norm = format!("{theirs}.attention.output.LayerNorm");
        self.norm(&format!("{own}.attention.layer_norm"), hidden, norm.clone());
        self.matrices(
            &format!("{own}.ffn.intermediate"),
            Kind::AfterNorm(norm),
            &[inner, hidden],
            dense("intermediate"),
        );
        let down = [hidden, inner];
        self.linear(&format!("{own}.ffn.output"), &down, dense("output"));
        let norm = format!("{theirs}.output.LayerNorm");
        self.norm(&format!("{own}.ffn.layer_norm"), hidden, norm);
    }

    fn cls_attention(
        &mut self,
        config: &ModelConfig,
        own: &str,
        attention: impl Fn(&str) -> String,
    ) {
        let hidden = config.hidden_size;
        let (heads, dim) = (config.num_attention_heads, config.head_dim());
        let square = [hidden, hidden];
        let dtype = self.options.dtype;
        let query = vec![attention("query")];
        self.linear(&format!("{own}.attention.query"), &square, query);
        for (name, kind, shape, tensor) in [
            (
                "key_t",
                Kind::HeadRowsTransposed,
                [heads, hidden, dim],
                "key",
            ),
            ("value", Kind::HeadRows, [heads, dim, hidden], "value"),
        ] {
            let name = format!("{own}.attention.{name}");
            let tensors = vec![attention(tensor)];
            self.push(&name, kind, dtype, &shape, tensors, &square);
        }
    }
}

/// Refuses a source that lacks a tensor or has one of another shape, before anything is read.
pub fn check_shapes(weights: &[Weight], source: &dyn TensorSource) -> Result<(), Error> {
    for weight in weights {
        for tensor in &weight.tensors {
            check_shape(source, &format!("{tensor}.weight"), &weight.tensor_shape)?;
            if !matches!(weight.kind, Kind::Table | Kind::GroupedTable) {
                check_shape(source, &format!("{tensor}.bias"), &weight.tensor_shape[..1])?;
            }
        }
    }
    Ok(())
}

impl Weight {
    /// Whether the weight is multiplied with activations that are rounded.
    pub fn is_int8_matrix(&self) -> bool {
        let table = matches!(
            self.kind,
            Kind::Table | Kind::GroupedTable | Kind::TableWithBias
        );
        self.dtype == Dtype::I8 && !table
    }

    /// Adds the weight's sections to the plan.
    pub fn plan(&self, plan: &mut Plan) -> Result<(), lanerank::Error> {
        let section = |part: &str| format!("{}.{part}", self.name);
        let (_, rows) = self.shape.split_last().unwrap_or((&0, &[]));
        let f32_rows = |plan: &mut Plan, part, shape: &[usize]| {
            plan.add(section(part), Dtype::F32, Layout::Rows, shape)
        };
        match self.kind {
            Kind::LayerNorm => {
                f32_rows(plan, "weight", &self.shape)?;
                f32_rows(plan, "bias", &self.shape)
            }
            Kind::GroupedTable => {
                let &[rows, width] = &self.shape[..] else {
                    return Err(lanerank::Error::Argument(format!(
                        "{}: no such shape",
                        self.name
                    )));
                };
                plan.add(section("weight"), self.dtype, Layout::Rows, &self.shape)?;
                match self.dtype {
                    Dtype::I8 => {
                        let scales = [rows, width.div_ceil(GROUP)];
                        plan.add(section("scale"), Dtype::F16, Layout::Rows, &scales)
                    }
                    _ => Ok(()),
                }
            }
            Kind::Table | Kind::TableWithBias => {
                plan.add(section("weight"), self.dtype, Layout::Rows, &self.shape)?;
                if self.dtype == Dtype::I8 {
                    f32_rows(plan, "scale", rows)?;
                }
                match self.kind {
                    Kind::TableWithBias => f32_rows(plan, "bias", rows),
                    _ => Ok(()),
                }
            }
            Kind::Linear | Kind::AfterNorm(_) | Kind::HeadRows | Kind::HeadRowsTransposed => {
                plan.add(section("weight"), self.dtype, Layout::Panels, &self.shape)?;
                if self.dtype == Dtype::I8 {
                    f32_rows(plan, "scale", rows)?;
                    plan.add(section("sum"), Dtype::I32, Layout::Rows, rows)?;
                    if let (Kind::AfterNorm(_), &[_, k]) = (&self.kind, &self.shape[..]) {
                        f32_rows(plan, "input_scale", &[k])?;
                    }
                }
                f32_rows(plan, "bias", rows)
            }
        }
    }

    /// The rows that an int8 file keeps of a source that is integers itself; `None` where it is not,
    /// or where this weight is not int8.
    fn kept(&self, source: &mut dyn TensorSource) -> Result<Option<KeptRows>, Error> {
        let &[rows, width] = &self.tensor_shape[..] else {
            return Ok(None);
        };
        // A grouped table has f16 scales of groups, which a source's rows do not have.
        if self.dtype != Dtype::I8 || matches!(self.kind, Kind::GroupedTable) {
            return Ok(None);
        }
        let heads = match (&self.kind, &self.shape[..]) {
            (Kind::HeadRowsTransposed, &[heads, ..]) => Some(heads),
            _ => None,
        };
        let mut kept = KeptRows::default();
        for tensor in &self.tensors {
            let name = format!("{tensor}.weight");
            let Some(integers) = source.read_integers(&name)? else {
                return Ok(None);
            };
            if (integers.scales.len(), integers.values.len()) != (rows, rows * width) {
                let reason = format!("integers of another shape than {rows} x {width}");
                return Err(Error::Tensor { name, reason });
            }
            let integers = match heads {
                // A row of a transposed head is a column of the source's: one scale for all.
                Some(_) if integers.scales.iter().any(|s| *s != integers.scales[0]) => {
                    return Ok(None);
                }
                Some(heads) => transpose_heads(&integers, heads, width),
                None => integers,
            };
            kept.add(&integers, &name)?;
        }
        Ok(Some(kept))
    }

    /// What becomes of a source's integers, in a word or two; `None` where they are none or not asked
    /// for.
    pub fn takeover(&self, source: &mut dyn TensorSource) -> Result<Option<String>, Error> {
        if self.dtype != Dtype::I8 || matches!(self.kind, Kind::LayerNorm) {
            return Ok(None);
        }
        if let Some(kept) = self.kept(source)? {
            return Ok(Some(kept.summary()));
        }
        for tensor in &self.tensors {
            if source.read_integers(&format!("{tensor}.weight"))?.is_some() {
                return Ok(Some("requantized".into()));
            }
        }
        Ok(None)
    }

    /// Reads the weight's tensors and fills its sections.
    pub fn write(&self, source: &mut dyn TensorSource, draft: &mut Draft) -> Result<(), Error> {
        if let Some(kept) = self.kept(source)? {
            return self.write_kept(&kept, source, draft);
        }
        let len: usize = self.tensor_shape.iter().product();
        let mut values = Vec::new();
        for tensor in &self.tensors {
            let mut tensor = read(source, &format!("{tensor}.weight"), len)?;
            match values.is_empty() {
                true => values = tensor,
                false => values.append(&mut tensor),
            }
        }
        match (&self.kind, &self.shape[..]) {
            (Kind::LayerNorm, _) => {
                write_part(draft, &format!("{}.weight", self.name), 0, &values)?
            }
            (Kind::GroupedTable, &[_, width]) if self.dtype == Dtype::I8 => {
                write_groups(draft, &self.name, &values, width)?;
            }
            (Kind::Table | Kind::GroupedTable | Kind::TableWithBias, &[rows, width]) => {
                write_rows(draft, &self.name, self.dtype, &values, rows, width)?;
            }
            (Kind::AfterNorm(norm), &[n, k]) => {
                if self.dtype == Dtype::I8 {
                    let scale = input_scale(source, norm, k)?;
                    divide_columns(&mut values, &scale);
                    write_part(draft, &format!("{}.input_scale", self.name), 0, &scale)?;
                }
                write_panels(draft, &self.name, self.dtype, 0, &values, n, k)?;
            }
            (Kind::Linear, &[n, k]) => {
                write_panels(draft, &self.name, self.dtype, 0, &values, n, k)?;
            }
            (_, &[heads, n, k]) => self.write_heads(draft, &values, heads, n, k)?,
            _ => return Err(Error::Argument(format!("{}: no such shape", self.name))),
        }
        self.write_bias(source, draft)
    }

    /// Fills the sections of an int8 weight with integers as they are. Nothing is divided, so
    /// inputs are not multiplied either.
    fn write_kept(
        &self,
        kept: &KeptRows,
        source: &mut dyn TensorSource,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        if let (Kind::AfterNorm(_), &[_, k]) = (&self.kind, &self.shape[..]) {
            let name = format!("{}.input_scale", self.name);
            write_part(draft, &name, 0, &vec![1.0f32; k])?;
        }
        match (&self.kind, &self.shape[..]) {
            (Kind::Table | Kind::TableWithBias, _) => {
                write_part(draft, &format!("{}.weight", self.name), 0, &kept.values)?;
                write_part(draft, &format!("{}.scale", self.name), 0, &kept.scales)?;
            }
            (_, &[n, k]) | (_, &[_, n, k]) => {
                let parts = kept
                    .values
                    .chunks_exact(n * k)
                    .zip(kept.scales.chunks_exact(n));
                for (part, (values, scales)) in parts.enumerate() {
                    write_int8_panels(draft, &self.name, part, values, scales, k)?;
                }
            }
            _ => return Err(Error::Argument(format!("{}: no such shape", self.name))),
        }
        self.write_bias(source, draft)
    }

    fn write_heads(
        &self,
        draft: &mut Draft,
        values: &[f32],
        heads: usize,
        n: usize,
        k: usize,
    ) -> Result<(), Error> {
        for (head, rows) in values.chunks_exact(n * k).take(heads).enumerate() {
            let transposed;
            let rows = match self.kind {
                Kind::HeadRowsTransposed => {
                    transposed = transpose(rows, k, n);
                    &transposed
                }
                _ => rows,
            };
            write_panels(draft, &self.name, self.dtype, head, rows, n, k)?;
        }
        Ok(())
    }

    fn write_bias(&self, source: &mut dyn TensorSource, draft: &mut Draft) -> Result<(), Error> {
        // A table has none; the transposed keys' stays zero.
        if matches!(
            self.kind,
            Kind::Table | Kind::GroupedTable | Kind::HeadRowsTransposed
        ) {
            return Ok(());
        }
        let name = format!("{}.bias", self.name);
        for (part, tensor) in self.tensors.iter().enumerate() {
            let bias = read(source, &format!("{tensor}.bias"), self.tensor_shape[0])?;
            write_part(draft, &name, part, &bias)?;
        }
        Ok(())
    }
}

/// Each head's rows of `[heads * dim, width]`, transposed; all have one scale.
fn transpose_heads(integers: &IntegerRows, heads: usize, width: usize) -> IntegerRows {
    let dim = integers.scales.len() / heads;
    let values = integers.values.chunks_exact(dim * width);
    IntegerRows {
        values: values
            .flat_map(|head| transpose(head, dim, width))
            .collect(),
        scales: vec![integers.scales[0]; heads * width],
    }
}

/// `[rows, columns]` to `[columns, rows]`.
fn transpose<T: Copy>(values: &[T], rows: usize, columns: usize) -> Vec<T> {
    let at = |i: usize| values[(i % rows) * columns + i / rows];
    (0..rows * columns).map(at).collect()
}
