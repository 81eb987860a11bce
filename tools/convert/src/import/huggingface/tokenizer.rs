//! A model's tokenizer, from `tokenizer.json` or `vocab.txt`. If both exist, they must agree.

use std::path::Path;

use lanerank::Tokenizer;

use super::added_tokens::{AddedTokens, Vocabulary};
use super::tokenizer_settings::TokenizerSettings;
use super::unigram_json::Unigram;
use super::{sentence, tokenizer_json as parser};
use crate::import::error::ImportError;
use crate::import::files::Files;
use crate::import::refusals;

const JSON: &str = "tokenizer.json";
const VOCAB: &str = "vocab.txt";
/// Files of other tokenizers.
const SENTENCE_PIECE: [&str; 3] = ["sentencepiece.bpe.model", "spiece.model", "spm.model"];

/// What a folder says of its tokenizer.
#[derive(Debug)]
pub(super) struct Read {
    pub tokenizer: Tokenizer,
    /// Maximum length, if the files have one.
    pub max_length: Option<usize>,
    /// All token types are 0.
    pub one_type: bool,
    /// A warning for the user.
    pub note: Option<String>,
}

/// Reads the tokenizer of a model.
///
/// # Errors
/// When it is missing or of another kind than BERT's or XLM-RoBERTa's, or two files disagree.
pub(super) fn read(files: &Files) -> Result<Read, ImportError> {
    let settings = TokenizerSettings::read(files)?;
    let added = AddedTokens::read(files)?;
    let tokenizer = match (files.has(JSON), files.has(VOCAB)) {
        (true, true) => read_both(files, &settings, &added)?,
        (true, false) => read_json(files, &settings, &added)?,
        (false, true) => read_vocab(files, VOCAB, &settings, &added)?,
        (false, false) => {
            let sentence_piece = SENTENCE_PIECE.iter().find(|name| files.has(name));
            if let Some(name) = sentence_piece {
                return Err(ImportError::at(
                    files.path(name),
                    refusals::sentence_piece_file(),
                ));
            }
            let reason = "neither tokenizer.json nor vocab.txt in this folder";
            return Err(ImportError::at(files.root(), reason));
        }
    };
    let sentence = sentence::max_length(files, tokenizer.config().lowercase)?;
    let lengths = [settings.max_length(), sentence];
    Ok(Read {
        tokenizer,
        max_length: lengths.into_iter().flatten().min(),
        one_type: settings.one_type(),
        note: settings.note(),
    })
}

/// Reads a single `tokenizer.json`.
///
/// # Errors
/// When it is neither BERT's WordPiece nor XLM-RoBERTa's Unigram.
pub fn tokenizer_json(path: &Path) -> Result<Tokenizer, ImportError> {
    let (files, name) = alone(path)?;
    let settings = TokenizerSettings::default();
    parse_json(&files, &name, &settings, &AddedTokens::default())
}

/// Reads a single `vocab.txt`, with BERT's rules.
///
/// # Errors
/// When it is not a vocabulary.
pub fn vocab_txt(path: &Path, cased: bool) -> Result<Tokenizer, ImportError> {
    let (files, name) = alone(path)?;
    let settings = TokenizerSettings::standard(cased);
    read_vocab(&files, &name, &settings, &AddedTokens::default())
}

/// A file's folder and name.
fn alone(path: &Path) -> Result<(Files, String), ImportError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| ImportError::at(path, "is not a file with a name in UTF-8"))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    Ok((Files::folder(folder), name.to_owned()))
}

fn read_json(
    files: &Files,
    settings: &TokenizerSettings,
    added: &AddedTokens,
) -> Result<Tokenizer, ImportError> {
    let tokenizer = parse_json(files, JSON, settings, added)?;
    let agreement = settings.check_agreement(&tokenizer.config());
    agreement.map_err(|reason| ImportError::at(files.path("tokenizer_config.json"), reason))?;
    Ok(tokenizer)
}

fn parse_json(
    files: &Files,
    name: &str,
    settings: &TokenizerSettings,
    added: &AddedTokens,
) -> Result<Tokenizer, ImportError> {
    let path = files.path(name);
    let text = files.read_text(name)?;
    let mut file = parser::parse(&text, settings.unnamed())
        .map_err(|reason| ImportError::at(&path, reason))?;
    let pieces = Vocabulary::new(file.pieces.iter().map(String::as_str));
    added.complete(files, settings, &pieces, &mut file.rules, true)?;
    let tokenizer = match &file.unigram {
        None => Tokenizer::from_pieces(&file.pieces, &file.rules),
        Some(unigram) => {
            let Unigram { scores, charsmap } = unigram;
            Tokenizer::from_unigram(&file.pieces, scores, charsmap, &file.rules)
        }
    };
    tokenizer.map_err(|e| ImportError::library(path, e))
}

fn read_vocab(
    files: &Files,
    name: &str,
    settings: &TokenizerSettings,
    added: &AddedTokens,
) -> Result<Tokenizer, ImportError> {
    let path = files.path(name);
    let text = files.read_lines(name)?;
    if text.contains('\r') && !text.contains('\n') {
        let reason = "its lines end in carriage returns alone; save it with line feeds";
        return Err(ImportError::at(&path, reason));
    }
    let unmarked = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let pieces = Vocabulary::new(unmarked.lines().map(str::trim_end));
    let rules = settings.rules(|piece| pieces.has(piece));
    let mut rules = rules.map_err(|reason| ImportError::at(&path, reason))?;
    added.complete(files, settings, &pieces, &mut rules, false)?;
    Tokenizer::from_vocab_txt(text.as_bytes(), &rules).map_err(|e| ImportError::library(path, e))
}

fn read_both(
    files: &Files,
    settings: &TokenizerSettings,
    added: &AddedTokens,
) -> Result<Tokenizer, ImportError> {
    let tokenizer = read_json(files, settings, added)?;
    let path = files.path(VOCAB);
    let text = files.read_lines(VOCAB)?;
    let unmarked = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let other = Tokenizer::from_vocab_txt(unmarked.as_bytes(), &tokenizer.config())
        .map_err(|e| ImportError::library(&path, e))?;
    let (ours, theirs) = (tokenizer.vocab_size() as u32, other.vocab_size() as u32);
    let differs = |&id: &u32| tokenizer.token(id) != other.token(id);
    match (0..ours.max(theirs)).find(differs) {
        None => Ok(tokenizer),
        Some(id) => Err(ImportError::at_line(
            path,
            u64::from(id) + 1,
            format!(
                "piece {id} is {:?}, but tokenizer.json has {:?}",
                other.token(id).unwrap_or_default(),
                tokenizer.token(id).unwrap_or_default()
            ),
        )),
    }
}
