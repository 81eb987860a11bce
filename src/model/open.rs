//! Opening and checking a model file.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use half::f16;
use lanerank_kernels::Kernels;

use super::bert::Bert;
use super::{Activations, Head, ModelConfig};
use crate::Error;
use crate::default_model;
use crate::format::directory::{self, Dtype, Section};
use crate::format::header::{Header, field};
use crate::format::sections::Sections;
use crate::format::self_test::{self, SelfTestRow};
use crate::format::storage::{AlignedBytes, Blob};
use crate::format::{checksum, config, mapped, metadata};
use crate::ranker::score_pair;
use crate::scratch::Scratch;
use crate::tokenizer::{Tokenizer, TokenizerSections};

/// How much of a file is verified before it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verify {
    /// Everything the structure depends on, and the checksum of every section.
    #[default]
    All,
    /// Everything the structure depends on. A damaged weight goes unnoticed and gives wrong
    /// scores, never undefined behaviour.
    Structure,
}

/// What [`Model::check`] found to be in order.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckReport {
    /// The self-test's rows as stored.
    pub stored: Vec<SelfTestRow>,
    /// The logits that this machine computes for them.
    pub computed: Vec<f32>,
    /// The largest absolute difference.
    pub max_difference: f32,
}

struct Inner {
    file: Blob,
    sections: Vec<Section>,
    config: ModelConfig,
    activations: Activations,
    metadata: Vec<(String, String)>,
    self_test: Vec<SelfTestRow>,
    tokenizer: Tokenizer,
    bert: Bert,
}

/// An opened model file. Cloning is cheap.
///
#[cfg_attr(feature = "embedded-model", doc = "```")]
#[cfg_attr(not(feature = "embedded-model"), doc = "```no_run")]
/// let model = lanerank::Model::embedded()?;
/// assert_eq!(model.config().num_hidden_layers, 2);
/// # Ok::<(), lanerank::Error>(())
/// ```
#[derive(Clone)]
pub struct Model(Arc<Inner>);

impl Model {
    /// Opens the model inside this crate, the [`default_model`](crate::default_model). It is used
    /// where it lies in the program: nothing is read, copied or unpacked.
    ///
    /// Its structure is verified, its checksums are not: the bytes are part of the program, which
    /// nobody checks either, and reading all of them would cost several times what the rest of
    /// opening does. [`Model::check`] verifies them all.
    ///
    /// # Errors
    /// [`Error::Argument`] where this build lacks the feature `embedded-model`.
    pub fn embedded() -> Result<Model, Error> {
        match default_model::FILE {
            Some(file) => Self::from_static(file, Verify::Structure),
            None => Err(Error::Argument(
                "no model was named, and the embedded one needs the feature `embedded-model`, \
                 which this build lacks"
                    .into(),
            )),
        }
    }

    /// Reads a file into memory and opens it, all checksums verified.
    ///
    /// # Errors
    /// [`Error::Io`], or what is wrong with the file's content.
    pub fn open(path: impl AsRef<Path>) -> Result<Model, Error> {
        Self::from_blob(read(path.as_ref())?, Verify::All)
    }

    /// Maps a file and uses it in place: nothing is read before it is needed, and processes that
    /// map the same file share its memory.
    ///
    /// # Safety
    /// Nobody may change or shorten the file while the model or a clone of it lives. Replacing it
    /// by renaming another file over it is fine.
    ///
    /// # Errors
    /// [`Error::Io`], or what is wrong with the file's content.
    #[allow(unsafe_code)]
    pub unsafe fn map(path: impl AsRef<Path>, verify: Verify) -> Result<Model, Error> {
        // SAFETY: the caller's promise is the one that is asked for.
        let file = unsafe { mapped::map(path.as_ref())? };
        Self::from_blob(file, verify)
    }

    /// Opens a file that is part of the program. Bytes aligned to 64 are used in place, others
    /// are copied.
    ///
    /// # Errors
    /// What is wrong with the content.
    pub fn from_static(bytes: &'static [u8], verify: Verify) -> Result<Model, Error> {
        Self::from_blob(Blob::from_static(bytes), verify)
    }

    /// Opens a copy of these bytes, all checksums verified.
    ///
    /// # Errors
    /// What is wrong with the content.
    pub fn from_bytes(bytes: &[u8]) -> Result<Model, Error> {
        // A file that is not ours is refused before it is copied.
        Header::parse(bytes)?;
        Self::from_blob(Blob::copy_from(bytes), Verify::All)
    }

    /// Opens bytes wherever they live, in place.
    ///
    /// # Errors
    /// What is wrong with the content.
    pub fn from_blob(file: Blob, verify: Verify) -> Result<Model, Error> {
        let header = Header::parse(&file)?;
        let sections = directory::parse(&file, &header)?;
        if verify == Verify::All {
            verify_checksums(&file, &sections)?;
        }
        let mut left = Sections::new(&file, &sections);
        let (config, activations) = config::parse(&left.bytes("config")?)?;
        let metadata = metadata::parse(&left.bytes("metadata")?)?;
        let self_test = self_test::parse(&left.bytes("self_test")?)?;
        let tokenizer = load_tokenizer(&mut left, &config)?;
        let bert = Bert::load(&mut left, &config, activations)?;
        left.finish()?;
        Ok(Model(Arc::new(Inner {
            file,
            sections,
            config,
            activations,
            metadata,
            self_test,
            tokenizer,
            bert,
        })))
    }

    /// Shape and rules of the model.
    pub fn config(&self) -> &ModelConfig {
        &self.0.config
    }

    /// To how many bits the inputs of int8 matrices are rounded.
    pub fn activations(&self) -> Activations {
        self.0.activations
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.0.tokenizer
    }

    /// The file's sections, in file order.
    pub fn sections(&self) -> &[Section] {
        &self.0.sections
    }

    /// The free `key = value` notes that the converter wrote.
    pub fn metadata(&self) -> &[(String, String)] {
        &self.0.metadata
    }

    /// Size of the file in bytes.
    pub fn file_len(&self) -> usize {
        self.0.file.len()
    }

    pub(crate) fn bert(&self) -> &Bert {
        &self.0.bert
    }

    /// Verifies everything that can be verified: all checksums, that no weight is NaN or infinite, that
    /// every piece of the vocabulary is found, and that the self-test's logits come out: the same bits from an int8 file, within 1e-4 of
    /// their size from others, whose last bits may differ from tier to tier.
    ///
    /// # Errors
    /// Names the section or row that is wrong.
    pub fn check(&self, kernels: &Kernels) -> Result<CheckReport, Error> {
        verify_checksums(&self.0.file, &self.0.sections)?;
        for section in &self.0.sections {
            verify_finite(&self.0.file, section)?;
        }
        self.0.tokenizer.check()?;
        let computed = self.self_test_logits(kernels)?;
        let mut max_difference = 0f32;
        for (i, (row, &logit)) in self.0.self_test.iter().zip(&computed).enumerate() {
            let difference = (row.logit - logit).abs();
            let bound = 1e-4 * row.logit.abs().max(1.0);
            if difference.is_nan() || difference > bound {
                let reason = format!("{} is stored, {logit} computed", row.logit);
                return Err(field(format!("self_test[{i}]"), reason));
            }
            max_difference = max_difference.max(difference);
        }
        Ok(CheckReport {
            stored: self.0.self_test.clone(),
            computed,
            max_difference,
        })
    }

    /// Computes the logits of the self-test's rows, in their order. The stored ones are not read:
    /// the converter stores these.
    ///
    /// # Errors
    /// Names the row whose logit is not a number.
    pub fn self_test_logits(&self, kernels: &Kernels) -> Result<Vec<f32>, Error> {
        let mut scratch = Scratch::default();
        let rows = self.0.self_test.iter().enumerate();
        rows.map(|(i, row)| {
            let logit = score_pair(self, kernels, &row.query, &row.passage, &mut scratch);
            match logit.is_nan() {
                true => Err(field(
                    format!("self_test[{i}]"),
                    "the logit is not a number",
                )),
                false => Ok(logit),
            }
        })
        .collect()
    }
}

fn read(path: &Path) -> Result<Blob, Error> {
    let io = |source| Error::Io {
        path: path.to_path_buf(),
        source,
    };
    let mut file = File::open(path).map_err(io)?;
    let len = file.metadata().map_err(io)?.len();
    let len = usize::try_from(len)
        .ok()
        .filter(|&len| len <= isize::MAX as usize - 64)
        .ok_or_else(|| field("file", format!("{len} bytes do not fit this machine")))?;
    let mut bytes = AlignedBytes::zeroed(len);
    file.read_exact(bytes.as_mut_slice()).map_err(io)?;
    Ok(Blob::from_aligned(bytes))
}

fn verify_checksums(file: &Blob, sections: &[Section]) -> Result<(), Error> {
    for section in sections {
        let bytes = &file[section.offset..section.offset + section.len];
        if checksum::xxh64(bytes) != section.checksum {
            return Err(Error::Checksum {
                section: section.name.clone(),
            });
        }
    }
    Ok(())
}

fn verify_finite(file: &Blob, section: &Section) -> Result<(), Error> {
    let bytes = &file[section.offset..section.offset + section.len];
    let finite = match section.dtype {
        Dtype::F32 => bytes
            .as_chunks::<4>()
            .0
            .iter()
            .all(|b| f32::from_le_bytes(*b).is_finite()),
        Dtype::F16 => bytes
            .as_chunks::<2>()
            .0
            .iter()
            .all(|b| f16::from_le_bytes(*b).is_finite()),
        _ => true,
    };
    match finite {
        true => Ok(()),
        false => Err(field(
            format!("section {}", section.name),
            "holds NaN or infinity",
        )),
    }
}

fn load_tokenizer(left: &mut Sections<'_>, config: &ModelConfig) -> Result<Tokenizer, Error> {
    let tokenizer = Tokenizer::from_sections(TokenizerSections {
        config: left.bytes("tokenizer.config")?,
        text: left.bytes("tokenizer.text")?,
        offsets: left.bytes("tokenizer.offsets")?,
        lookup: left.bytes("tokenizer.lookup")?,
    })?;
    if tokenizer.vocab_size() > config.vocab_size {
        let reason = format!(
            "{} pieces for {} embeddings",
            tokenizer.vocab_size(),
            config.vocab_size
        );
        return Err(field("tokenizer", reason));
    }
    let minimum = match config.head {
        Head::Classifier { .. } => 3,
        Head::Encoder { .. } => 2,
    };
    if config.max_length < minimum {
        let reason = format!("{} leaves no room for text", config.max_length);
        return Err(field("config.max_length", reason));
    }
    Ok(tokenizer)
}
