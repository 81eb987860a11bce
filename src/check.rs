//! Checks of a model: its self-test, and its layers' outputs.

use std::ops::ControlFlow;

use half::f16;
use lanerank_kernels::Kernels;

use crate::config::Head;
use crate::error::Error;
use crate::format::directory::{Dtype, Section};
use crate::format::self_test::SelfTestRow;
use crate::layers::attention::Prefix;
use crate::model::open::Model;
use crate::scorer::{PairQuery, Scorer};
use crate::scratch::Scratch;
use crate::tokenizer::{Role, TruncationPolicy};

/// Largest difference of a self-test's logit, as a share of its size (absolute below 1). Last bits
/// of f16 and f32 files differ between tiers.
const TOLERANCE: f32 = 1e-4;

/// The result of [`Model::check`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CheckReport {
    /// The self-test's rows as stored.
    pub stored: Vec<SelfTestRow>,
    /// The logits that this machine computes for them.
    pub computed: Vec<f32>,
    /// The largest absolute difference.
    pub max_difference: f32,
}

impl Model {
    /// Verifies everything that can be verified: all checksums, that no weight is NaN or infinite,
    /// that every piece of the vocabulary is found, and the logits of the self-test. From an int8
    /// file they must be the same bits. From others they must be within 1e-4 of their size, because
    /// last bits differ between tiers.
    ///
    /// # Errors
    /// Names the section or row that is wrong.
    pub fn check(&self, kernels: &Kernels) -> Result<CheckReport, Error> {
        self.verify_checksums()?;
        for section in self.sections() {
            self.verify_finite(section)?;
        }
        self.tokenizer().check()?;
        let computed = self.self_test_logits(kernels)?;
        let mut max_difference = 0f32;
        for (i, (row, &logit)) in self.self_test().iter().zip(&computed).enumerate() {
            let difference = (row.logit - logit).abs();
            let bound = TOLERANCE * row.logit.abs().max(1.0);
            if difference.is_nan() || difference > bound {
                let reason = format!("{} is stored, {logit} computed", row.logit);
                return Err(Error::format(format!("self_test[{i}]"), reason));
            }
            max_difference = max_difference.max(difference);
        }
        Ok(CheckReport {
            stored: self.self_test().to_vec(),
            computed,
            max_difference,
        })
    }

    /// Computes the logits of the self-test's rows, in their order. Does not read the stored ones:
    /// the converter stores these.
    ///
    /// # Errors
    /// Names the row whose logit is NaN or infinite.
    pub fn self_test_logits(&self, kernels: &Kernels) -> Result<Vec<f32>, Error> {
        let scorer = Scorer::of(self, kernels);
        let mut scratch = Scratch::default();
        let rows = self.self_test().iter().enumerate();
        rows.map(|(i, row)| {
            let logit = scorer.logit(&row.query, &row.passage, &mut scratch);
            if !logit.is_finite() {
                let reason = format!("the logit computed is {logit}");
                return Err(Error::format(format!("self_test[{i}]"), reason));
            }
            Ok(logit)
        })
        .collect()
    }

    fn verify_finite(&self, section: &Section) -> Result<(), Error> {
        let bytes = self.section_bytes(section);
        let finite = match section.dtype {
            Dtype::F32 => {
                let mut values = bytes.as_chunks().0.iter();
                values.all(|b| f32::from_le_bytes(*b).is_finite())
            }
            Dtype::F16 => {
                let mut values = bytes.as_chunks().0.iter();
                values.all(|b| f16::from_le_bytes(*b).is_finite())
            }
            _ => true,
        };
        if finite {
            Ok(())
        } else {
            Err(Error::section(&section.name, "holds NaN or infinity"))
        }
    }

    /// The residual stream after each layer, for comparing two conversions of a model.
    ///
    /// Shape `[tokens, hidden_size]`; `[1, hidden_size]` for a last layer that computes the first
    /// token only, as a cross-encoder's does. A cross-encoder reads the pair, a sentence encoder
    /// the passage alone.
    pub fn layer_outputs(&self, kernels: &Kernels, query: &str, passage: &str) -> Vec<Vec<f32>> {
        let scorer = Scorer::of(self, kernels);
        let mut scratch = Scratch::default();
        let policy = TruncationPolicy::default();
        match self.config().head {
            Head::Classifier { .. } => {
                let mut pair = PairQuery::default();
                scorer.set_query(&mut pair, query, policy, &mut scratch);
                // Without a prefix the output has the query's rows, too. They are the same rows.
                pair.prefix = Prefix::default();
                scorer.push_pair(&pair, passage, &mut scratch);
            }
            Head::Encoder { .. } => {
                scorer.push_single((Role::Passage, passage), policy, &mut scratch);
            }
        }
        let mut outputs = Vec::with_capacity(self.config().num_hidden_layers);
        let watch = &mut |x: &[f32]| {
            outputs.push(x.to_vec());
            ControlFlow::Continue(())
        };
        let _ = scorer.run_watched(&Prefix::default(), &mut scratch, watch);
        outputs
    }
}
