//! `Encoder`.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyByteArray;

use crate::engine::{Engine, configure};
use crate::errors::{conversion_exception, exception};
use crate::models::Wanted;
use crate::ranker::open;
use crate::texts::strings;

/// Turns texts into vectors.
#[pyclass(module = "lanerank._lanerank", frozen)]
pub struct Encoder {
    engine: Engine<lanerank::Encoder>,
    dimension: usize,
}

#[pymethods]
impl Encoder {
    #[new]
    #[pyo3(signature = (
        model, *, cache_dir=None, max_length=None, threads=None, dtype="int8", offline=false,
        notify=None
    ))]
    fn new(
        model: String,
        cache_dir: Option<PathBuf>,
        max_length: Option<usize>,
        threads: Option<usize>,
        dtype: &str,
        offline: bool,
        notify: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let wanted = Wanted {
            name: Some(model),
            cache_dir,
            dtype: dtype.parse().map_err(conversion_exception)?,
            offline,
        };
        let model = open(wanted, notify)?;
        let dimension = model.config().hidden_size;
        let engine = Engine::new(move || {
            configure(lanerank::Encoder::builder(), &model, max_length, threads).build()
        });
        Ok(Encoder {
            engine: engine.map_err(exception)?,
            dimension,
        })
    }

    /// Length of a vector.
    #[getter]
    fn dimension(&self) -> usize {
        self.dimension
    }

    /// The vectors one after another, each `dimension` 32-bit floats in the machine's byte order.
    fn encode<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyByteArray>> {
        let texts = strings("texts", texts)?;
        let encoder = self.engine.get(py).map_err(exception)?;
        let bytes = py.detach(|| -> Result<Vec<u8>, lanerank::Error> {
            let vectors = encoder.encode(&texts)?;
            let values = vectors.iter().flatten();
            Ok(values.flat_map(|value| value.to_ne_bytes()).collect())
        });
        Ok(PyByteArray::new(py, &bytes.map_err(exception)?))
    }
}
