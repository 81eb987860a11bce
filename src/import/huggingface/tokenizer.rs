//! A folder's tokenizer: `tokenizer.json` or `vocab.txt`, and where there are both, one opinion.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use crate::Tokenizer;

use super::tokenizer_settings::TokenizerSettings;
use super::{sentence, tokenizer_json as parser};
use crate::import::error::ImportError;
use crate::import::json;

/// Reads the tokenizer of a model folder, and the longest sequence that its settings name.
///
/// # Errors
/// When there is none, it is not BERT's WordPiece, or two files disagree.
pub fn read(folder: &Path) -> Result<(Tokenizer, Option<usize>), ImportError> {
    let settings = TokenizerSettings::read(folder)?;
    let json_path = folder.join("tokenizer.json");
    let vocab_path = folder.join("vocab.txt");
    let tokenizer = match (json_path.is_file(), vocab_path.is_file()) {
        (true, true) => read_both(folder, &json_path, &vocab_path, &settings)?,
        (true, false) => read_json(folder, &json_path, &settings)?,
        (false, true) => read_vocab(&vocab_path, &settings)?,
        (false, false) => {
            let reason = "neither tokenizer.json nor vocab.txt in this folder";
            return Err(ImportError::at(folder, reason));
        }
    };
    let sentence = sentence::max_length(folder, tokenizer.config().lowercase)?;
    let lengths = [settings.max_length(), sentence];
    Ok((tokenizer, lengths.into_iter().flatten().min()))
}

/// Reads a `tokenizer.json` that stands alone.
///
/// # Errors
/// When it is not BERT's WordPiece.
pub fn tokenizer_json(path: &Path) -> Result<Tokenizer, ImportError> {
    parse_json(path, &TokenizerSettings::default())
}

/// Reads a `vocab.txt` that stands alone, with BERT's rules.
///
/// # Errors
/// When it is not a vocabulary.
pub fn vocab_txt(path: &Path, cased: bool) -> Result<Tokenizer, ImportError> {
    read_vocab(path, &TokenizerSettings::standard(cased))
}

fn read_json(
    folder: &Path,
    path: &Path,
    settings: &TokenizerSettings,
) -> Result<Tokenizer, ImportError> {
    let tokenizer = parse_json(path, settings)?;
    let agreement = settings.check_agreement(&tokenizer.config());
    agreement.map_err(|reason| {
        let path = folder.join("tokenizer_config.json");
        ImportError::at(&path, reason)
    })?;
    Ok(tokenizer)
}

fn parse_json(path: &Path, settings: &TokenizerSettings) -> Result<Tokenizer, ImportError> {
    let text = json::read_text(path)?;
    let file = parser::parse(&text, settings.pad_token(), settings.mask_token())
        .map_err(|reason| ImportError::at(path, reason))?;
    Tokenizer::from_pieces(&file.pieces, &file.rules).map_err(|e| ImportError::library(path, e))
}

fn read_vocab(path: &Path, settings: &TokenizerSettings) -> Result<Tokenizer, ImportError> {
    let bytes = fs::read(path).map_err(|e| ImportError::at(path, e))?;
    let text = String::from_utf8_lossy(&bytes);
    let pieces: HashSet<&str> = text.lines().map(str::trim_end).collect();
    let rules = settings.rules(|piece| pieces.contains(piece));
    let rules = rules.map_err(|reason| ImportError::at(path, reason))?;
    Tokenizer::from_vocab_txt(&bytes, &rules).map_err(|e| ImportError::library(path, e))
}

fn read_both(
    folder: &Path,
    json_path: &Path,
    vocab_path: &Path,
    settings: &TokenizerSettings,
) -> Result<Tokenizer, ImportError> {
    let tokenizer = read_json(folder, json_path, settings)?;
    let bytes = fs::read(vocab_path).map_err(|e| ImportError::at(vocab_path, e))?;
    let other = Tokenizer::from_vocab_txt(&bytes, &tokenizer.config())
        .map_err(|e| ImportError::library(vocab_path, e))?;
    let (ours, theirs) = (tokenizer.vocab_size() as u32, other.vocab_size() as u32);
    let differs = |&id: &u32| tokenizer.token(id) != other.token(id);
    match (0..ours.max(theirs)).find(differs) {
        None => Ok(tokenizer),
        Some(id) => Err(ImportError::at_line(
            vocab_path,
            u64::from(id) + 1,
            format!(
                "piece {id} is {:?}, but tokenizer.json has {:?}",
                other.token(id).unwrap_or_default(),
                tokenizer.token(id).unwrap_or_default()
            ),
        )),
    }
}
