//! ONNX files: BERT cross-encoders and encoders as exporters and optimisers leave them, in floats and
//! in 8 bits.
//!
//! Nothing is recognised by its name, because exporters rename and optimisers drop names. The graph is
//! walked once ([`trace`]) and each value is given a meaning; whatever only depends on shapes, masks
//! and positions is computed ([`eval`]). If the output turns out to be a whole BERT forward pass
//! ([`roles`]), its tensors and its settings are known; if not, the first node that does not fit is
//! named and the file is refused. [`Reference`] then computes the whole graph, with no notion of BERT,
//! as a check of all this.

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
use super::weights::Weights;
use crate::convert::f32_model;
use crate::error::Error;
use crate::source::{IntegerRows, TensorSource};
use graph::Graph;
use probe::Probe;
use roles::{Role, Roles, Top};
use stored::Beside;

use reference::Reference;

/// Batch and length of the probes; what they say must agree. No length is a power of two or a number
/// of heads.
const PROBES: [(usize, usize); 2] = [(5, 11), (7, 13)];

/// Largest difference of a logit, relative beyond 1, between a graph and what is understood of it:
/// graphs in f16 round the constants of their activations.
const MAX_LOGIT_DIFFERENCE: f32 = 2e-3;
/// The same of 1 less a vector's cosine.
const MAX_COSINE_DIFFERENCE: f32 = 1e-5;

/// An ONNX file whose graph was understood.
#[derive(Debug)]
pub struct OnnxFile {
    path: PathBuf,
    graph: Arc<Graph>,
    output: String,
    roles: Roles,
}

/// Opens the weights of an ONNX file.
///
/// # Errors
/// When it cannot be read or is no BERT that lanerank runs, naming the node.
pub fn open(files: &Files, name: &str) -> Result<Box<dyn Weights>, ImportError> {
    let opened = files.open(name)?;
    let wrong = |e: std::io::Error| ImportError::at(&opened.path, e);
    let mut bytes = Vec::new();
    let read = opened
        .reader
        .take(stored::MAX_FILE + 1)
        .read_to_end(&mut bytes);
    read.map_err(wrong)?;
    if bytes.len() as u64 > stored::MAX_FILE {
        let reason = format!("longer than {} bytes", stored::MAX_FILE);
        return Err(ImportError::at(&opened.path, reason));
    }
    // What the file keeps in other files must lie beside it, and not in an archive.
    let folder = opened.path.parent().filter(|_| files.root().is_dir());
    let beside = folder.map_or_else(Beside::default, Beside::folder);
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
                return Err(wrong(
                    "config.json says cross-encoder, but the graph has no classifier".into(),
                ));
            }
            (Head::Encoder { .. }, Top::Logits(_)) => {
                return Err(wrong(
                    "config.json says encoder, but the graph has a classifier".into(),
                ));
            }
            (Head::Classifier { .. }, _) if !roles.reads_types => {
                let reason =
                    "a cross-encoder whose graph does not read token types; export it with them";
                return Err(wrong(reason.into()));
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
        let (said, found) = (config.hidden_act, roles.activation);
        if said != found {
            let gelus = [Activation::Gelu, Activation::GeluTanh];
            if !gelus.contains(&said) || !gelus.contains(&found) {
                return Err(wrong(format!(
                    "the activation is {found:?} in the graph, {said:?} in config.json"
                )));
            }
            notes.push(format!(
                "the graph computes {found:?} where config.json says {said:?} (optimisers do that); taken as the \
                 graph has it"
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
        let difference = reference.difference(&model)?;
        let bound = match config.head {
            Head::Classifier { .. } => MAX_LOGIT_DIFFERENCE,
            Head::Encoder { .. } => MAX_COSINE_DIFFERENCE,
        };
        match difference <= bound {
            true => Ok(Some(difference)),
            false => Err(ImportError::at(
                &self.path,
                format!(
                    "what the graph computes and what was understood of it differ by {difference}; please report \
                     this model"
                ),
            )),
        }
    }
}

/// The output to take and the model below it.
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
            Some(Role::Matrix(matrix)) => matrix.integers(),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests;
