//! `Ranker` and `Hit`.

use std::path::PathBuf;

use lanerank::{Fusion, RerankOptions};
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::engine::{Engine, configure};
use crate::errors::{conversion_exception, exception, hub_exception};
use crate::interrupts::{Abandoned, waiting};
use crate::models::Wanted;
use crate::texts::{string, strings};

/// Opens a model for a ranker or an encoder.
///
/// # Errors
/// The exception for what went wrong.
pub(crate) fn open(wanted: Wanted, notify: Option<Py<PyAny>>) -> PyResult<lanerank::Model> {
    let notify = move |message: &str| {
        if let Some(notify) = &notify {
            // An exception of a logging handler must not prevent opening a model.
            Python::try_attach(|py| notify.call1(py, (message,)).map(drop).unwrap_or(()));
        }
    };
    let open = move |abandoned: Abandoned| wanted.open(&notify, &abandoned);
    Python::attach(|py| waiting(py, open))?.map_err(hub_exception)
}

/// A passage's rank and scores.
#[pyclass(module = "lanerank", frozen, get_all, eq)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Index of the passage in the request.
    index: usize,
    /// Relevance: 0 to 1 from a cross-encoder, the cosine from a sentence encoder.
    score: f32,
    /// The model's output before the sigmoid.
    logit: f32,
    /// The blend with the first-stage score, if one was given. It determines the order.
    fused: Option<f32>,
    /// Tokens that truncation cut from the query.
    query_tokens_cut: usize,
    /// Tokens that truncation cut from the passage.
    passage_tokens_cut: usize,
}

type Fields = (usize, f32, f32, Option<f32>, usize, usize);

#[pymethods]
impl Hit {
    #[new]
    #[pyo3(signature = (index, score, logit, fused=None, query_tokens_cut=0, passage_tokens_cut=0))]
    fn new(
        index: usize,
        score: f32,
        logit: f32,
        fused: Option<f32>,
        query_tokens_cut: usize,
        passage_tokens_cut: usize,
    ) -> Self {
        Hit {
            index,
            score,
            logit,
            fused,
            query_tokens_cut,
            passage_tokens_cut,
        }
    }

    fn __repr__(&self) -> String {
        let mut text = format!(
            "Hit(index={}, score={:?}, logit={:?}",
            self.index, self.score, self.logit
        );
        if let Some(fused) = self.fused {
            text.push_str(&format!(", fused={fused:?}"));
        }
        for (name, cut) in [
            ("query_tokens_cut", self.query_tokens_cut),
            ("passage_tokens_cut", self.passage_tokens_cut),
        ] {
            if cut > 0 {
                text.push_str(&format!(", {name}={cut}"));
            }
        }
        text + ")"
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> (Bound<'py, PyType>, Fields) {
        let Hit {
            index,
            score,
            logit,
            fused,
            query_tokens_cut,
            passage_tokens_cut,
        } = *self;
        let fields = (
            index,
            score,
            logit,
            fused,
            query_tokens_cut,
            passage_tokens_cut,
        );
        (py.get_type::<Hit>(), fields)
    }
}

impl From<lanerank::Hit> for Hit {
    fn from(hit: lanerank::Hit) -> Self {
        Hit {
            index: hit.index,
            score: hit.score,
            logit: hit.logit,
            fused: hit.fused,
            query_tokens_cut: hit.truncation.query_tokens,
            passage_tokens_cut: hit.truncation.passage_tokens,
        }
    }
}

/// Scores texts for a query.
#[pyclass(module = "lanerank._lanerank", frozen)]
pub struct Ranker(Engine<lanerank::Ranker>);

#[pymethods]
impl Ranker {
    #[new]
    #[pyo3(signature = (
        model=None, *, cache_dir=None, max_length=None, threads=None, dtype="int8", offline=false,
        notify=None
    ))]
    fn new(
        model: Option<String>,
        cache_dir: Option<PathBuf>,
        max_length: Option<usize>,
        threads: Option<usize>,
        dtype: &str,
        offline: bool,
        notify: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let wanted = Wanted {
            name: model,
            cache_dir,
            dtype: dtype.parse().map_err(conversion_exception)?,
            offline,
        };
        let model = open(wanted, notify)?;
        let engine = Engine::new(move || {
            configure(lanerank::Ranker::builder(), &model, max_length, threads).build()
        });
        Ok(Ranker(engine.map_err(exception)?))
    }

    /// Maximum length in tokens, with query and special tokens.
    #[getter]
    fn max_length(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.0.get(py).map_err(exception)?.max_length())
    }

    /// The kernel tier in use.
    #[getter]
    fn isa(&self, py: Python<'_>) -> PyResult<&'static str> {
        Ok(self.0.get(py).map_err(exception)?.kernels().isa().name())
    }

    /// The scores, in the order of the texts.
    fn scores(
        &self,
        py: Python<'_>,
        query: &Bound<'_, PyAny>,
        texts: &Bound<'_, PyAny>,
    ) -> PyResult<Vec<f32>> {
        let (query, texts) = (string(&"query", query)?, strings("texts", texts)?);
        let ranker = self.0.get(py).map_err(exception)?;
        py.detach(|| ranker.scores(&query, &texts))
            .map_err(exception)
    }

    /// Index and score of each text, best first.
    fn order(
        &self,
        py: Python<'_>,
        query: &Bound<'_, PyAny>,
        passages: &Bound<'_, PyAny>,
    ) -> PyResult<Vec<(usize, f32)>> {
        let (query, texts) = (string(&"query", query)?, strings("passages", passages)?);
        let ranker = self.0.get(py).map_err(exception)?;
        let hits = py.detach(|| ranker.rerank(&query, &texts));
        let hits = hits.map_err(exception)?.into_iter();
        Ok(hits.map(|hit| (hit.index, hit.score)).collect())
    }

    /// The hits, best first.
    #[pyo3(signature = (query, texts, top_k=None, first_stage=None, weight=0.5))]
    fn rank(
        &self,
        py: Python<'_>,
        query: &Bound<'_, PyAny>,
        texts: &Bound<'_, PyAny>,
        top_k: Option<usize>,
        first_stage: Option<Vec<f32>>,
        weight: f32,
    ) -> PyResult<Vec<Hit>> {
        let (query, texts) = (string(&"query", query)?, strings("texts", texts)?);
        let options = RerankOptions {
            top_k,
            first_stage: first_stage.as_deref(),
            fusion: Fusion::ZScore { weight },
            ..RerankOptions::default()
        };
        let ranker = self.0.get(py).map_err(exception)?;
        let ranking = py.detach(|| ranker.rerank_with(&query, &texts, &options));
        let hits = ranking.map_err(exception)?.hits.into_iter();
        Ok(hits.map(Hit::from).collect())
    }
}
