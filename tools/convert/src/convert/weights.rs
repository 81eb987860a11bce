//! From the weights of a model's schema to sections of its file.

use lanerank::format::directory::{Dtype, GROUP, Layout};
use lanerank::format::write::{Draft, Plan};
use lanerank::model::ModelConfig;
use lanerank::model::architectures::schema;
use lanerank::schema::{self, Kind};

use super::integers::{KeptRows, write_int8_panels};
use super::matrix::{write_groups, write_panels, write_part, write_rows};
use super::smoothing::{divide_columns, input_scale};
use super::tensors::{check_shape, read};
use super::{ConvertOptions, WeightDtype};
use crate::error::Error;
use crate::source::{IntegerRows, TensorSource};

/// Largest number of layers whose rounding errors let an embedding table have one scale per row. In
/// deeper models each layer's errors pass through all later ones.
const SHALLOW: usize = 4;

/// A weight of the model file, and how it is stored.
pub(crate) struct Weight {
    weight: schema::Weight,
    dtype: Dtype,
    /// Whether an int8 table has a scale for each [`GROUP`] of a row.
    grouped: bool,
}

/// All weights, in file order.
pub(crate) fn all(config: &ModelConfig, options: &ConvertOptions) -> Vec<Weight> {
    let stored = |weight: schema::Weight| {
        let default = match weight.kind {
            Kind::SmallTable | Kind::TableWithBias => WeightDtype::F32,
            _ => options.dtype,
        };
        Weight {
            dtype: match weight.kind {
                Kind::Norm => Dtype::F32,
                _ => options.dtype_of(&weight.name, default),
            },
            grouped: config.num_hidden_layers > SHALLOW
                && matches!(weight.kind, Kind::Table | Kind::SmallTable),
            weight,
        }
    };
    schema(config).weights().map(stored).collect()
}

/// Refuses a source that lacks a tensor or has one of another shape, before anything is read.
pub(crate) fn check_shapes(weights: &[Weight], source: &dyn TensorSource) -> Result<(), Error> {
    for weight in weights {
        for (tensor, shape) in weight.weight.tensor_shapes() {
            check_shape(source, &tensor, &shape)?;
        }
    }
    Ok(())
}

impl Weight {
    /// Its name, before `.weight`, `.bias`, `.scale`, `.sum`, `.input_scale`.
    pub(crate) fn name(&self) -> &str {
        &self.weight.name
    }

    /// The name of one of its sections.
    fn section(&self, part: &str) -> String {
        format!("{}.{part}", self.weight.name)
    }

    /// Whether it multiplies rounded activations.
    pub(crate) fn is_int8_matrix(&self) -> bool {
        self.dtype == Dtype::I8 && self.weight.kind.is_matrix()
    }

    /// Adds the weight's sections to the plan.
    pub(crate) fn plan(&self, plan: &mut Plan) -> Result<(), Error> {
        let (kind, shape) = (self.weight.kind, &self.weight.shape[..]);
        let (_, rows) = shape.split_last().unwrap_or((&0, &[]));
        let is_int8 = self.dtype == Dtype::I8;
        let mut add = |part: &str, dtype, layout, shape: &[usize]| {
            plan.add(self.section(part), dtype, layout, shape)
        };
        if kind == Kind::Norm {
            add("weight", Dtype::F32, Layout::Rows, shape)?;
            add("bias", Dtype::F32, Layout::Rows, shape)?;
            return Ok(());
        }
        let layout = if kind.is_table() {
            Layout::Rows
        } else {
            Layout::Panels
        };
        add("weight", self.dtype, layout, shape)?;
        match shape {
            &[rows, width] if is_int8 && self.grouped => {
                let scales = [rows, width.div_ceil(GROUP)];
                add("scale", Dtype::F16, Layout::Rows, &scales)?;
            }
            _ if is_int8 => add("scale", Dtype::F32, Layout::Rows, rows)?,
            _ => {}
        }
        if self.is_int8_matrix() {
            add("sum", Dtype::I32, Layout::Rows, rows)?;
            if let (Kind::AfterNorm, &[_, k]) = (kind, shape) {
                add("input_scale", Dtype::F32, Layout::Rows, &[k])?;
            }
        }
        if kind.has_bias() {
            add("bias", Dtype::F32, Layout::Rows, rows)?;
        }
        Ok(())
    }

    /// The rows that an int8 file keeps of a source that is integers itself; `None` where it is
    /// not, or where this weight is not int8.
    fn kept(&self, source: &mut dyn TensorSource) -> Result<Option<KeptRows>, Error> {
        let &[rows, width] = &self.weight.tensor_shape[..] else {
            return Ok(None);
        };
        // A grouped table has f16 scales of groups, which a source's rows do not have.
        if self.dtype != Dtype::I8 || self.grouped {
            return Ok(None);
        }
        let heads = match (self.weight.kind, &self.weight.shape[..]) {
            (Kind::HeadRowsTransposed, &[heads, ..]) => Some(heads),
            _ => None,
        };
        let mut kept = KeptRows::default();
        for tensor in &self.weight.tensors {
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

    /// What becomes of a source's integers, in a word or two; `None` where they are none or not
    /// asked for.
    pub(crate) fn takeover(&self, source: &mut dyn TensorSource) -> Result<Option<String>, Error> {
        if self.dtype != Dtype::I8 {
            return Ok(None);
        }
        if let Some(kept) = self.kept(source)? {
            return Ok(Some(kept.summary()));
        }
        for tensor in &self.weight.tensors {
            if source.read_integers(&format!("{tensor}.weight"))?.is_some() {
                return Ok(Some("requantized".into()));
            }
        }
        Ok(None)
    }

    /// Reads the weight's tensors and fills its sections.
    pub(crate) fn write(
        &self,
        source: &mut dyn TensorSource,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        if let Some(kept) = self.kept(source)? {
            return self.write_kept(&kept, source, draft);
        }
        let len: usize = self.weight.tensor_shape.iter().product();
        let mut values = Vec::new();
        for tensor in &self.weight.tensors {
            let mut tensor = read(source, &format!("{tensor}.weight"), len)?;
            if values.is_empty() {
                values = tensor;
            } else {
                values.append(&mut tensor);
            }
        }
        match (self.weight.kind, &self.weight.shape[..]) {
            (Kind::Norm, _) => write_part(draft, &self.section("weight"), 0, &values)?,
            (_, &[_, width]) if self.grouped && self.dtype == Dtype::I8 => {
                write_groups(draft, self.name(), &values, width)?;
            }
            (kind, &[rows, width]) if kind.is_table() => {
                write_rows(draft, self.name(), self.dtype, &values, rows, width)?;
            }
            (kind, &[n, k]) => {
                if self.dtype == Dtype::I8 && kind == Kind::AfterNorm {
                    let scale = match &self.weight.input_norm {
                        Some(norm) => input_scale(source, norm, k)?,
                        None => vec![1.0; k],
                    };
                    divide_columns(&mut values, &scale);
                    write_part(draft, &self.section("input_scale"), 0, &scale)?;
                }
                write_panels(draft, self.name(), self.dtype, 0, &values, n, k)?;
            }
            (_, &[heads, n, k]) => self.write_heads(draft, &values, heads, n, k)?,
            _ => return Err(self.shapeless()),
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
        if let (Kind::AfterNorm, &[_, k]) = (self.weight.kind, &self.weight.shape[..]) {
            write_part(draft, &self.section("input_scale"), 0, &vec![1.0f32; k])?;
        }
        match (self.weight.kind, &self.weight.shape[..]) {
            (kind, _) if kind.is_table() => {
                write_part(draft, &self.section("weight"), 0, &kept.values)?;
                write_part(draft, &self.section("scale"), 0, &kept.scales)?;
            }
            (_, &[n, k]) | (_, &[_, n, k]) => {
                let parts = kept
                    .values
                    .chunks_exact(n * k)
                    .zip(kept.scales.chunks_exact(n));
                for (part, (values, scales)) in parts.enumerate() {
                    write_int8_panels(draft, self.name(), part, values, scales, k)?;
                }
            }
            _ => return Err(self.shapeless()),
        }
        self.write_bias(source, draft)
    }

    /// An error that only a mistake in the schema can cause.
    fn shapeless(&self) -> Error {
        Error::Argument(format!("{}: no such shape", self.name()))
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
            let rows = match self.weight.kind {
                Kind::HeadRowsTransposed => {
                    transposed = transpose(rows, k, n);
                    &transposed
                }
                _ => rows,
            };
            write_panels(draft, self.name(), self.dtype, head, rows, n, k)?;
        }
        Ok(())
    }

    fn write_bias(&self, source: &mut dyn TensorSource, draft: &mut Draft) -> Result<(), Error> {
        // A table has none; the transposed keys' stays zero.
        if !self.weight.kind.has_bias() || self.weight.kind == Kind::HeadRowsTransposed {
            return Ok(());
        }
        let name = self.section("bias");
        for (part, tensor) in self.weight.tensors.iter().enumerate() {
            let bias = read(
                source,
                &format!("{tensor}.bias"),
                self.weight.tensor_shape[0],
            )?;
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
