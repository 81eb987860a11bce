//! Runs a graph as it is, to check a conversion.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lanerank::Model;
use lanerank::model::{Head, Pooling};
use lanerank::tokenizer::Encoding;
use lanerank::{Encoder, Ranker};

use super::eval::Evaluator;
use super::graph::Graph;
use super::probe::Probe;
use super::tensor::Tensor;
use crate::convert::self_test::TEXTS;
use crate::import::error::ImportError;

/// Elements and products of one run: about ten times those of the largest BERT.
const WORK: u64 = 1 << 41;

/// Largest allowed logit difference (relative above 1) between the ONNX graph and our reading of
/// it. Graphs in f16 round the constants of their activations.
const MAX_LOGIT_DIFFERENCE: f32 = 2e-3;
/// Largest allowed difference of an encoder's vector: 1 - cosine.
const MAX_COSINE_DIFFERENCE: f32 = 1e-5;

/// An ONNX graph for computing the self-test's texts.
pub(super) struct Reference {
    path: PathBuf,
    graph: Arc<Graph>,
    output: String,
}

impl Reference {
    pub(super) fn new(path: &Path, graph: Arc<Graph>, output: &str) -> Self {
        Reference {
            path: path.to_owned(),
            graph,
            output: output.to_owned(),
        }
    }

    /// The largest difference between a model's results and the graph's. Logits: relative error
    /// (absolute below 1). Encoders: 1 - cosine. Activations that the graph rounds to 8 bits are
    /// not rounded here, because this compares the weights.
    ///
    /// # Errors
    /// When the graph or the model cannot be computed, or the difference is too large.
    pub(super) fn check(&self, model: &Model) -> Result<f32, ImportError> {
        let (difference, bound) = match model.config().head {
            Head::Classifier { .. } => (self.logits(model), MAX_LOGIT_DIFFERENCE),
            Head::Encoder { pooling, .. } => (self.vectors(model, pooling), MAX_COSINE_DIFFERENCE),
            other => (Err(format!("{other:?}: not compared with graphs")), 0.0),
        };
        let at = |reason: String| ImportError::at(&self.path, reason);
        let difference = difference.map_err(at)?;
        if difference.is_nan() {
            Err(at("computes NaN".to_owned()))
        } else if difference > bound {
            Err(at(format!(
                "the results of the graph and of the weights read from it differ by \
                 {difference}; please report this model"
            )))
        } else {
            Ok(difference)
        }
    }

    fn logits(&self, model: &Model) -> Result<f32, String> {
        let said = |e: lanerank::Error| e.to_string();
        let ranker = Ranker::builder()
            .opened(model.clone())
            .build()
            .map_err(said)?;
        let mut largest = 0.0f32;
        for (query, passage) in TEXTS {
            let encoding = model
                .tokenizer()
                .encode_pair(query, passage, model.config().max_length);
            let output = self.run(&encoding, true)?;
            let theirs = match output.shape.last() {
                Some(2) => output.to_floats()[1] - output.to_floats()[0],
                _ => output.to_floats()[0],
            };
            let hits = ranker.rerank(query, &[passage]).map_err(said)?;
            let ours = hits.first().map_or(f32::NAN, |hit| hit.logit);
            largest = larger(largest, (ours - theirs).abs() / theirs.abs().max(1.0));
        }
        Ok(largest)
    }

    fn vectors(&self, model: &Model, pooling: Pooling) -> Result<f32, String> {
        let said = |e: lanerank::Error| e.to_string();
        let encoder = Encoder::builder()
            .opened(model.clone())
            .build()
            .map_err(said)?;
        let mut largest = 0.0f32;
        for text in TEXTS.iter().flat_map(|&(query, passage)| [query, passage]) {
            let encoding = model.tokenizer().encode(text, model.config().max_length);
            let output = self.run(&encoding, true)?;
            let width = output.shape.last().copied().unwrap_or(0).max(1);
            let rows = output.to_floats();
            let count = match pooling {
                Pooling::Mean => encoding.ids.len(),
                Pooling::Cls => 1,
                other => return Err(format!("{other:?} pooling: not compared with graphs")),
            };
            // The scale does not matter, so a sum is as good as a mean.
            let mut theirs = vec![0.0f64; width];
            for row in rows.chunks_exact(width).take(count) {
                theirs
                    .iter_mut()
                    .zip(row)
                    .for_each(|(sum, &v)| *sum += f64::from(v));
            }
            let ours = encoder.encode(&[text]).map_err(said)?.concat();
            largest = larger(largest, (1.0 - cosine(&ours, &theirs)) as f32);
        }
        Ok(largest)
    }

    /// The output for one sequence. `unrounded` as in [`Evaluator`].
    pub(super) fn run(&self, encoding: &Encoding, unrounded: bool) -> Result<Tensor, String> {
        let probe = Probe::of_tokens(&self.graph, &encoding.ids, &encoding.type_ids)?;
        let budget = &self.graph.budget;
        let _held = budget.scope();
        let mut evaluator = Evaluator::new(unrounded, WORK);
        let mut values: HashMap<&str, Tensor> = HashMap::new();
        for port in &self.graph.inputs {
            values.insert(&port.name, probe.feed(port)?);
        }
        let nodes = self.graph.needed(&self.output);
        let mut uses: HashMap<&str, usize> = HashMap::from([(self.output.as_str(), 1)]);
        for name in nodes.iter().flat_map(|node| node.inputs.iter().flatten()) {
            *uses.entry(name).or_default() += 1;
        }
        for node in nodes {
            let wrong = |e: String| format!("{node}: {e}");
            let constant = |name: &str| {
                let stored = self.graph.constants.get(name)?;
                Some(budget.take(stored.unpacked()).map(|()| stored.tensor()))
            };
            let value = |name: &String| match values.get(name.as_str()) {
                Some(value) => Some(Ok(value.clone())),
                None => constant(name),
            };
            let outputs = {
                let _constants = budget.scope();
                let inputs = node.inputs.iter();
                let inputs = inputs.map(|name| name.as_ref().and_then(value).transpose());
                let inputs = inputs.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
                evaluator.eval(node, &inputs).map_err(wrong)?
            };
            for name in node.inputs.iter().flatten() {
                let left = uses.entry(name).or_default();
                *left = left.saturating_sub(1);
                if *left == 0
                    && let Some(value) = values.remove(name.as_str())
                {
                    budget.give(value.bytes());
                }
            }
            for (name, value) in node.outputs.iter().zip(outputs) {
                budget.take(value.bytes()).map_err(wrong)?;
                if let Some(value) = values.insert(name, value) {
                    budget.give(value.bytes());
                }
            }
        }
        values
            .remove(self.output.as_str())
            .ok_or_else(|| format!("no output {:?}", self.output))
    }
}

fn larger(a: f32, b: f32) -> f32 {
    if b.is_nan() { b } else { a.max(b) }
}

fn cosine(a: &[f32], b: &[f64]) -> f64 {
    let a: Vec<f64> = a.iter().map(|&v| f64::from(v)).collect();
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    dot(&a, b) / (dot(&a, &a) * dot(b, b)).sqrt()
}
