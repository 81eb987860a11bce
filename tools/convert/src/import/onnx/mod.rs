//! Reads ONNX files of BERT cross-encoders and encoders: exported or optimised, in floats or in 8
//! bits.
//!
//! An ONNX file is a graph of operators, not a list of named weights. Exporters rename tensors, and
//! optimisers drop names and fuse operators. So the reader recognises nothing by its name. It
//! derives what the graph computes, in two independent ways, and refuses the file unless both
//! agree.
//!
//! # 1. A symbolic trace finds the weights
//!
//! | step | module | result |
//! |---|---|---|
//! | parse | [`proto`], [`stored`], [`graph`] | nodes in execution order; constants, not copied |
//! | probe | [`probe`] | a small batch of token ids with padding and two segments |
//! | trace | [`trace`], [`terms`], [`matrix`] | the meaning of each value as a term |
//! | roles | [`roles`] | BERT's tensors and settings, read off the output's term |
//!
//! The trace walks the graph once on a probe. A value is either *known* or a *term*:
//!
//! - Known values depend on shapes, masks and positions only. The trace computes them with the
//!   evaluator, and compares them with what the probe says they must be: this tells an attention
//!   mask from position ids, whatever subgraph made them.
//! - Terms depend on weights. A term is a step of a BERT forward pass: a sum of rows of embedding
//!   tables, `x weight^T + bias`, a layer norm, heads split off, scores, a softmax's mix of values.
//!   A rule per operator makes a term of the operator's inputs. Fused operators, such as
//!   `com.microsoft.Attention`, make the terms of all their parts. An elementwise function, such as
//!   GELU, is represented by its values at fixed points, so its spelling does not matter.
//!
//! Equal terms are stored once. So the output's term is the whole forward pass, and [`roles`]
//! matches it against BERT layer by layer: which matrix is which layer's query, which activation,
//! which epsilon. An operator without a rule, or a term that does not fit, ends the trace with an
//! error that names the node. All of this runs on two probes of different shapes and must give the
//! same roles, so that nothing depends on the probe.
//!
//! Quantised files keep their integers: a [`matrix`] records the scale and zero point that the
//! graph applies to them, and the converter stores the integers where an int8 file can hold them.
//!
//! # 2. An evaluator checks them
//!
//! [`eval`] runs operators by their definitions, without any knowledge of BERT. [`Reference`] runs
//! the whole graph on the self-test's texts. Its results must match those of the extracted weights,
//! run by the engine in f32, within its bounds.
//!
//! # Hostile files
//!
//! Nesting and the work of both parts are limited, external data must lie in the model's folder,
//! and what is held is taken from the source's [`Budget`](super::budget::Budget): messages before
//! they are decoded, values of the graph as they are computed. What one node computes besides its
//! inputs is limited by `MAX_ELEMENTS` in [`tensor`].

mod eval;
mod graph;
mod matrix;
mod probe;
mod proto;
mod reference;
mod roles;
mod stored;
mod tensor;
mod terms;
mod trace;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use lanerank::Tokenizer;
use lanerank::model::{Activation, Head, ModelConfig};

use super::error::ImportError;
use super::files::Files;
use super::refusals;
use super::weights::Weights;
use crate::convert::f32_model;
use crate::error::Error;
use crate::source::{IntegerRows, TensorSource};
use graph::Graph;
use probe::Probe;
use roles::{Role, Roles, Top};
use stored::Beside;

use reference::Reference;

/// Batch and length of the probes, which must give the same roles. No length is a power of two or a
/// number of heads.
const PROBES: [(usize, usize); 2] = [(5, 11), (7, 13)];

/// A note on a cross-encoder that was exported without the input `token_type_ids`.
const ONE_TYPE: &str = "the graph does not read token_type_ids: all token types are 0, as for \
     every program that runs this ONNX file; if the model was trained with them, export it with \
     them, or convert its safetensors";

/// Name of the table of token types.
const TOKEN_TYPES: &str = "embeddings.token_type_embeddings.weight";

/// An ONNX file whose graph was understood.
#[derive(Debug)]
pub(super) struct OnnxFile {
    path: PathBuf,
    graph: Arc<Graph>,
    output: String,
    roles: Roles,
}

/// Opens the weights of an ONNX file.
///
/// # Errors
/// When it cannot be read, or is not a BERT that lanerank runs; names the node.
pub(super) fn open(files: &Files, name: &str) -> Result<Box<dyn Weights>, ImportError> {
    let opened = files.open(name)?;
    let wrong = |e: std::io::Error| ImportError::at(&opened.path, e);
    let mut bytes = Vec::with_capacity(opened.len.min(stored::MAX_FILE) as usize);
    let read = opened
        .reader
        .take(stored::MAX_FILE + 1)
        .read_to_end(&mut bytes);
    read.map_err(wrong)?;
    if bytes.len() as u64 > stored::MAX_FILE {
        let reason = format!("longer than {} bytes", stored::MAX_FILE);
        return Err(ImportError::at(&opened.path, reason));
    }
    // External data must be next to the file, and not in an archive.
    let folder = opened.path.parent().filter(|_| files.root().is_dir());
    let mut beside = folder.map_or_else(Beside::default, Beside::folder);
    beside.budget = opened.budget;
    Ok(Box::new(OnnxFile::parse(&opened.path, bytes, beside)?))
}

impl OnnxFile {
    fn parse(path: &Path, bytes: Vec<u8>, mut beside: Beside) -> Result<Self, ImportError> {
        let wrong = |reason: String| ImportError::at(path, reason);
        let graph = Graph::parse(Bytes::from(bytes), &mut beside).map_err(wrong)?;
        let (output, roles) = understand(&graph).map_err(wrong)?;
        Ok(OnnxFile {
            path: path.to_owned(),
            graph: Arc::new(graph),
            output,
            roles,
        })
    }

    /// Whether only row 0 of a table is in use, so that it stands for all rows.
    fn is_one_row(&self, name: &str) -> bool {
        name == TOKEN_TYPES && !self.roles.reads_types
    }
}

impl Weights for OnnxFile {
    fn names(&self) -> Vec<String> {
        self.roles.tensors.keys().cloned().collect()
    }

    fn adopt(&self, config: &mut ModelConfig) -> Result<Vec<String>, ImportError> {
        let wrong = |reason: String| ImportError::at(&self.path, reason);
        let roles = &self.roles;
        for (name, said, found) in [
            ("hidden_size", config.hidden_size, roles.hidden),
            ("num_hidden_layers", config.num_hidden_layers, roles.layers),
            (
                "num_attention_heads",
                config.num_attention_heads,
                roles.heads,
            ),
        ] {
            if said != found {
                return Err(wrong(format!(
                    "{name} is {found} in the graph, {said} in config.json"
                )));
            }
        }
        match (config.head, roles.top) {
            (Head::Classifier { num_labels }, Top::Logits(labels)) if num_labels != labels => {
                let reason = format!("{labels} labels in the graph, {num_labels} in config.json");
                return Err(wrong(reason));
            }
            (Head::Classifier { .. }, Top::Tokens) => {
                return Err(wrong(refusals::onnx_without_head()));
            }
            (Head::Encoder { .. }, Top::Logits(_)) => {
                return Err(wrong(
                    "config.json says encoder, but the graph has a classifier".into(),
                ));
            }
            _ => (),
        }
        if (config.layer_norm_eps - roles.eps).abs() > 1e-6 {
            let (found, said) = (roles.eps, config.layer_norm_eps);
            return Err(wrong(format!(
                "layer_norm_eps is {found} in the graph, {said} in config.json"
            )));
        }
        config.layer_norm_eps = roles.eps;
        let mut notes = Vec::new();
        if matches!(config.head, Head::Classifier { .. }) && !roles.reads_types {
            notes.push(ONE_TYPE.into());
        }
        let (said, found) = (config.hidden_act, roles.activation);
        if said != found {
            let gelus = [Activation::Gelu, Activation::GeluTanh];
            if !gelus.contains(&said) || !gelus.contains(&found) {
                return Err(wrong(format!(
                    "the activation is {found:?} in the graph, {said:?} in config.json"
                )));
            }
            notes.push(format!(
                "the graph computes {found:?}, but config.json says {said:?} (optimisers change \
                 it); the graph's is used"
            ));
            config.hidden_act = found;
        }
        Ok(notes)
    }

    fn verify(
        &mut self,
        config: &ModelConfig,
        tokenizer: &Tokenizer,
    ) -> Result<Option<f32>, ImportError> {
        let reference = Reference::new(&self.path, Arc::clone(&self.graph), &self.output);
        let model =
            f32_model(config, tokenizer, self).map_err(|e| ImportError::library(&self.path, e))?;
        reference.check(&model).map(Some)
    }
}

/// The output to use, and the model that computes it.
fn understand(graph: &Graph) -> Result<(String, Roles), String> {
    let mut tokens = None;
    let mut first_error = None;
    for port in &graph.outputs {
        match of_output(graph, &port.name) {
            Ok(roles) if roles.top != Top::Tokens => return Ok((port.name.clone(), roles)),
            Ok(roles) => tokens = tokens.or(Some((port.name.clone(), roles))),
            Err(e) => first_error = first_error.or(Some(e)),
        }
    }
    tokens.ok_or_else(|| first_error.unwrap_or("the graph has no outputs".into()))
}

fn of_output(graph: &Graph, output: &str) -> Result<Roles, String> {
    let mut found: Option<Roles> = None;
    for (batch, len) in PROBES {
        let _held = graph.budget.scope();
        let probe = Probe::new(graph, batch, len)?;
        let (trace, id, shape) = trace::trace(graph, output, &probe)?;
        let roles = roles::roles(&trace, id, &shape)?;
        match &found {
            Some(before) if *before != roles => {
                return Err("the graph is another one for other numbers of tokens".into());
            }
            _ => found = Some(roles),
        }
    }
    found.ok_or_else(|| "nothing was tried".into())
}

impl TensorSource for OnnxFile {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.roles.tensors.get(name).map(|role| match role {
            Role::Matrix(matrix) => matrix.shape().to_vec(),
            Role::Vector(values) => vec![values.len()],
        })
    }

    fn read(&mut self, name: &str) -> Result<Vec<f32>, Error> {
        match self.roles.tensors.get(name) {
            Some(Role::Matrix(matrix)) if self.is_one_row(name) => {
                let ([rows, width], values) = (matrix.shape(), matrix.values());
                Ok(values[..width].repeat(rows))
            }
            Some(Role::Matrix(matrix)) => Ok(matrix.values()),
            Some(Role::Vector(values)) => Ok(values.to_vec()),
            None => Err(Error::Tensor {
                name: name.to_owned(),
                reason: "missing".into(),
            }),
        }
    }

    fn read_integers(&mut self, name: &str) -> Result<Option<IntegerRows>, Error> {
        Ok(match self.roles.tensors.get(name) {
            Some(Role::Matrix(matrix)) if !self.is_one_row(name) => matrix.integers(),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests;
