//! Takes a model's weights out of its file, in the order of its schema.

use super::linear::{HeadLinear, Linear};
use super::norm::LayerNorm;
use super::table::Table;
use crate::config::{Activations, ModelConfig};
use crate::error::Error;
use crate::format::sections::Sections;
use crate::format::storage::View;
use crate::schema::{Schema, Weight, Weights};

/// The sections of a file and the weights that its model must have.
pub(crate) struct Loader<'a, 'f> {
    sections: &'a mut Sections<'f>,
    weights: Weights<'a>,
    activations: Activations,
    eps: f32,
}

impl<'a, 'f> Loader<'a, 'f> {
    pub(crate) fn new(
        sections: &'a mut Sections<'f>,
        schema: &Schema<'a>,
        config: &ModelConfig,
        activations: Activations,
    ) -> Self {
        Loader {
            sections,
            weights: schema.weights(),
            activations,
            eps: config.layer_norm_eps,
        }
    }

    /// The next weight, which must have this last part of a name.
    fn next(&mut self, part: &str) -> Result<Weight, Error> {
        let weight = self.weights.next();
        let named = |weight: &Weight| weight.name.rsplit('.').next() == Some(part);
        // Only a mistake in an architecture's code can end here.
        weight
            .filter(named)
            .ok_or_else(|| Error::format(format!("schema: {part}"), "is not next in the table"))
    }

    pub(crate) fn table(&mut self, part: &str) -> Result<Table, Error> {
        let weight = self.next(part)?;
        Table::load(self.sections, &weight)
    }

    pub(crate) fn table_with_bias(&mut self, part: &str) -> Result<(Table, View<f32>), Error> {
        let weight = self.next(part)?;
        let table = Table::load(self.sections, &weight)?;
        let bias = format!("{}.bias", weight.name);
        Ok((table, self.sections.finite(&bias, &weight.shape[..1])?))
    }

    pub(crate) fn linear(&mut self, part: &str) -> Result<Linear, Error> {
        let weight = self.next(part)?;
        Linear::load(self.sections, &weight, self.activations)
    }

    pub(crate) fn heads(&mut self, part: &str) -> Result<HeadLinear, Error> {
        let weight = self.next(part)?;
        HeadLinear::load(self.sections, &weight, self.activations)
    }

    pub(crate) fn norm(&mut self, part: &str) -> Result<LayerNorm, Error> {
        let weight = self.next(part)?;
        LayerNorm::load(self.sections, &weight, self.eps)
    }
}
