//! Opens a model file.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::architectures::{self, Network};
use crate::config::{Activations, Head, ModelConfig};
use crate::default_model;
use crate::error::Error;
use crate::format::directory::{self, Section};
use crate::format::header::{HEADER_LEN, Header};
use crate::format::sections::Sections;
use crate::format::self_test::{self, SelfTestRow};
use crate::format::storage::{AlignedBytes, Blob};
use crate::format::write::MAX_FILE;
use crate::format::{checksum, config, mapped, metadata};
use crate::layers::loader::Loader;
use crate::tokenizer::{Prompts, Tokenizer, TokenizerSections, UnigramSections};

/// How much of a file is verified before use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Verify {
    /// The structure, and the checksum of every section.
    #[default]
    All,
    /// The structure only. A damaged weight goes unnoticed and gives wrong scores, never undefined
    /// behaviour.
    Structure,
}

struct Inner {
    file: Blob,
    sections: Vec<Section>,
    config: ModelConfig,
    activations: Activations,
    metadata: Vec<(String, String)>,
    self_test: Vec<SelfTestRow>,
    tokenizer: Tokenizer,
    network: Box<dyn Network>,
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
    /// Opens the model inside this crate, the [`default_model`](crate::default_model), in place:
    /// nothing is read, copied or unpacked.
    ///
    /// Verifies its structure but not its checksums. The bytes are part of the program, and reading
    /// all of them would cost several times the rest of opening. [`Model::check`] verifies them.
    ///
    /// # Errors
    /// [`Error::Argument`] if this build lacks the feature `embedded-model`.
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

    /// Reads a file into memory, opens it and verifies all checksums.
    ///
    /// # Errors
    /// [`Error::Io`], or what is wrong with the file's content.
    pub fn open(path: impl AsRef<Path>) -> Result<Model, Error> {
        Self::from_blob(read(path.as_ref())?, Verify::All)
    }

    /// Maps a file and uses it in place: pages are read on first use, and processes that map the
    /// same file share its memory.
    ///
    /// # Safety
    /// The file must not change or shrink while the model or a clone of it lives. Renaming another
    /// file over it is fine.
    ///
    /// # Errors
    /// [`Error::Io`], or what is wrong with the file's content.
    #[allow(unsafe_code)]
    pub unsafe fn map(path: impl AsRef<Path>, verify: Verify) -> Result<Model, Error> {
        // SAFETY: the caller promises what `mapped::map` requires.
        let file = unsafe { mapped::map(path.as_ref())? };
        Self::from_blob(file, verify)
    }

    /// Opens a file that is part of the program. Bytes aligned to 64 are used in place, others are
    /// copied.
    ///
    /// # Errors
    /// What is wrong with the content.
    pub fn from_static(bytes: &'static [u8], verify: Verify) -> Result<Model, Error> {
        Self::from_blob(Blob::from_static(bytes), verify)
    }

    /// Opens a copy of these bytes and verifies all checksums.
    ///
    /// # Errors
    /// What is wrong with the content.
    pub fn from_bytes(bytes: &[u8]) -> Result<Model, Error> {
        // Refuses foreign files before they are copied.
        Header::parse(bytes)?;
        Self::from_blob(Blob::copy_from(bytes), Verify::All)
    }

    /// Opens owned, static or mapped bytes in place.
    ///
    /// # Errors
    /// What is wrong with the content.
    pub fn from_blob(file: Blob, verify: Verify) -> Result<Model, Error> {
        let header = Header::parse(&file)?;
        let sections = directory::parse(&file, &header)?;
        if verify == Verify::All {
            verify_checksums(&file, &sections)?;
        }
        let mut remaining = Sections::new(&file, &sections);
        let (config, activations) = config::parse(&remaining.bytes("config")?)?;
        let metadata = metadata::parse(&remaining.bytes("metadata")?)?;
        let self_test = self_test::parse(&remaining.bytes("self_test")?)?;
        let tokenizer = load_tokenizer(&mut remaining, &config)?;
        let schema = architectures::schema(&config);
        let mut loader = Loader::new(&mut remaining, &schema, &config, activations);
        let network = (architectures::of(&config).load)(&mut loader, &config)?;
        remaining.finish()?;
        Ok(Model(Arc::new(Inner {
            file,
            sections,
            config,
            activations,
            metadata,
            self_test,
            tokenizer,
            network,
        })))
    }

    /// Shape and rules of the model.
    pub fn config(&self) -> &ModelConfig {
        &self.0.config
    }

    /// Bits that the activations of int8 matrices are rounded to.
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

    /// The converter's notes, `key = value`.
    pub fn metadata(&self) -> &[(String, String)] {
        &self.0.metadata
    }

    /// Size of the file in bytes.
    pub fn file_len(&self) -> usize {
        self.0.file.len()
    }

    /// The rows of the self-test.
    pub(crate) fn self_test(&self) -> &[SelfTestRow] {
        &self.0.self_test
    }

    pub(crate) fn network(&self) -> &dyn Network {
        &*self.0.network
    }

    /// The bytes of a section.
    pub(crate) fn section_bytes(&self, section: &Section) -> &[u8] {
        &self.0.file[section.offset..section.offset + section.len]
    }

    /// Verifies the checksum of every section.
    pub(crate) fn verify_checksums(&self) -> Result<(), Error> {
        verify_checksums(&self.0.file, &self.0.sections)
    }
}

/// Reads a file. Checks its header and directory against its length before it allocates memory for
/// the rest.
fn read(path: &Path) -> Result<Blob, Error> {
    let io = |source| Error::Io {
        path: path.to_path_buf(),
        source,
    };
    // Opening a pipe would wait for somebody to write to it.
    let kind = std::fs::metadata(path).map_err(io)?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        let kind = std::io::ErrorKind::InvalidInput;
        return Err(io(std::io::Error::new(kind, "not a regular file")));
    }
    let mut file = File::open(path).map_err(io)?;
    let len = file.metadata().map_err(io)?.len();
    let mut start = Vec::new();
    let mut more = |start: &mut Vec<u8>, end: usize| {
        let missing = (end - start.len()) as u64;
        Read::by_ref(&mut file).take(missing).read_to_end(start)
    };
    more(&mut start, HEADER_LEN).map_err(io)?;
    let header = Header::parse_start(&start, len)?;
    more(&mut start, directory::end(&header)).map_err(io)?;
    directory::parse_start(&start, &header)?;
    let size = Some(header.file_len).filter(|&len| len <= MAX_FILE);
    let size =
        size.ok_or_else(|| Error::format("file", format!("{len} bytes do not fit this machine")))?;
    let bytes = AlignedBytes::read(&mut start.as_slice().chain(file), size).map_err(|e| {
        if e.kind() == std::io::ErrorKind::OutOfMemory {
            return Error::format("file", format!("{len} bytes do not fit the memory"));
        }
        io(e)
    })?;
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

fn load_tokenizer(sections: &mut Sections<'_>, config: &ModelConfig) -> Result<Tokenizer, Error> {
    let tokenizer = Tokenizer::from_sections(TokenizerSections {
        config: sections.bytes("tokenizer.config")?,
        text: sections.bytes("tokenizer.text")?,
        offsets: sections.bytes("tokenizer.offsets")?,
        lookup: sections.bytes("tokenizer.lookup")?,
        unigram: if sections.has("tokenizer.scores") {
            Some(UnigramSections {
                scores: sections.bytes("tokenizer.scores")?,
                trie: sections.bytes("tokenizer.trie")?,
                charsmap: sections.bytes("tokenizer.charsmap")?,
            })
        } else {
            None
        },
    })?;
    let mut tokenizer = tokenizer.with_positions(architectures::of(config).positions);
    if sections.has("tokenizer.prompts") {
        let prompts = Prompts::parse(&sections.bytes("tokenizer.prompts")?)?;
        let only_query = prompts.passage.is_empty() && prompts.text.is_empty();
        if matches!(config.head, Head::Classifier { .. }) && !only_query {
            let reason = "a cross-encoder has a prompt for the query only";
            return Err(Error::section("tokenizer.prompts", reason));
        }
        tokenizer = tokenizer.with_prompts(prompts);
    }
    let (pieces, embeddings) = (tokenizer.vocab_size(), config.vocab_size);
    if pieces > embeddings {
        let reason = format!("{pieces} pieces for {embeddings} embeddings");
        return Err(Error::format("tokenizer", reason));
    }
    let frame = tokenizer.frame();
    let is_pair = matches!(config.head, Head::Classifier { .. });
    if is_pair && config.type_vocab_size < frame.types() {
        let reason = format!("the tokenizer has {} types of tokens", frame.types());
        return Err(Error::format("config.type_vocab_size", reason));
    }
    let least = match config.head {
        Head::Classifier { .. } => frame.pair_overhead(),
        Head::Encoder { .. } => frame.single_overhead(),
    };
    let (length, most) = (
        config.max_length,
        frame.longest(config.max_position_embeddings),
    );
    if length < least {
        let reason = format!("{length} leaves no room for text");
        return Err(Error::format("config.max_length", reason));
    }
    if length > most {
        let reason = format!("{length} is more than the model's {most} positions");
        return Err(Error::format("config.max_length", reason));
    }
    Ok(tokenizer)
}
