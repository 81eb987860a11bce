//! The choice of the activations' precision, by kind of matrix.

use std::str::FromStr;

use lanerank::model::{Activations, Matrix, Precision};

use super::name_fits;
use crate::error::Error;

/// Bits of the activations of int8 matrices: `auto`, `a8` or `a16` for all matrices, then
/// exceptions `name=a8` or `name=a16` by parts of the names in [`Matrix::name`], separated by
/// commas: `a8,ffn.output=a16`, `attention=a16`. The last match wins.
///
/// The default is `auto`, which is `a8` for models of every depth, also where only exceptions are
/// given. 16 bits cost a second product per matrix. On trained weights they gain nothing that a
/// ranking shows: tools/convert/README.md has the measurement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ActivationChoice {
    /// For all matrices; `None` is `auto`, 8 bits.
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
    pub(super) fn resolve(&self) -> Result<Activations, Error> {
        let mut chosen = Activations::all(self.all.unwrap_or_default());
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
