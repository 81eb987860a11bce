//! The choice of the activations' precision, by kind of matrix.

use std::str::FromStr;

use lanerank::model::{Activations, Matrix, ModelConfig, Precision};

use super::name_fits;
use crate::error::Error;

/// Bits of the activations of int8 matrices: `auto`, `a8` or `a16` for all matrices, then
/// exceptions `name=a8` or `name=a16` by parts of the names in [`Matrix::name`], separated by
/// commas: `a8,ffn.output=a16`, `attention=a16`. The last match wins.
///
/// The default is `auto`, also where only exceptions are given: 8 bits in models of up to four
/// layers. Deeper models get 16 bits for `attention.qkv` and `ffn.intermediate`, because the
/// rounding errors of each layer pass through all later ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ActivationChoice {
    /// For all matrices; `None` is `auto`.
    pub all: Option<Precision>,
    /// Exceptions: parts of a name, and the precision of the matrices that match.
    pub exceptions: Vec<(String, Precision)>,
}

impl ActivationChoice {
    /// Whether nothing was asked for.
    pub(super) fn is_auto(&self) -> bool {
        self.all.is_none() && self.exceptions.is_empty()
    }

    /// The precisions to store in the model file.
    pub(super) fn resolve(&self, config: &ModelConfig) -> Result<Activations, Error> {
        let mut chosen = match self.all {
            Some(precision) => Activations::all(precision),
            None => automatic(config),
        };
        for (pattern, precision) in &self.exceptions {
            let mut fitting = Matrix::ALL
                .into_iter()
                .filter(|m| name_fits(m.name(), pattern))
                .peekable();
            if fitting.peek().is_none() {
                let names = Matrix::ALL.map(Matrix::name).join(", ");
                return Err(Error::Argument(format!(
                    "activations: {pattern} matches none of {names}"
                )));
            }
            fitting.for_each(|matrix| chosen.set(matrix, *precision));
        }
        Ok(chosen)
    }
}

/// Largest number of layers for which 8 bits are accurate enough.
const SHALLOW: usize = 4;

/// Whether the model is deep enough to need finer rounding: 16-bit activations where they matter
/// most, and several scales per row of an embedding table.
pub(super) fn is_deep(config: &ModelConfig) -> bool {
    config.num_hidden_layers > SHALLOW
}

fn automatic(config: &ModelConfig) -> Activations {
    let mut chosen = Activations::default();
    if is_deep(config) {
        chosen.set(Matrix::AttentionQkv, Precision::Sixteen);
        chosen.set(Matrix::FfnIntermediate, Precision::Sixteen);
    }
    chosen
}

impl FromStr for ActivationChoice {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |part: &str| {
            Error::Argument(format!(
                "activations: {part:?} is none of auto, a8, a16, name=a8, name=a16"
            ))
        };
        let precision = |name: &str| match name {
            "a8" => Some(Precision::Eight),
            "a16" => Some(Precision::Sixteen),
            _ => None,
        };
        let mut choice = ActivationChoice::default();
        for (i, part) in text.split(',').enumerate() {
            match part.split_once('=') {
                Some((pattern, bits)) if !pattern.is_empty() => {
                    let bits = precision(bits).ok_or_else(|| wrong(part))?;
                    choice.exceptions.push((pattern.into(), bits));
                }
                None if i == 0 && part == "auto" => {}
                None if i == 0 => choice.all = Some(precision(part).ok_or_else(|| wrong(part))?),
                _ => return Err(wrong(part)),
            }
        }
        Ok(choice)
    }
}
