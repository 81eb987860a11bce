//! A folder's tokenizer: `tokenizer.json` or `vocab.txt`, and where there are both, one opinion.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use lanerank::Tokenizer;

use super::tokenizer_settings::TokenizerSettings;
use super::{json, sentence, tokenizer_json};
use crate::failure::{Failure, Place};

/// Reads the tokenizer of a model folder, and the longest sequence that its settings name.
///
/// # Errors
/// When there is none, it is not BERT's WordPiece, or two files disagree.
pub fn read(folder: &Path) -> Result<(Tokenizer, Option<usize>), Failure> {
    let settings = TokenizerSettings::read(folder)?;
    let json_path = folder.join("tokenizer.json");
    let vocab_path = folder.join("vocab.txt");
    let tokenizer = match (json_path.is_file(), vocab_path.is_file()) {
        (true, true) => read_both(folder, &json_path, &vocab_path, &settings)?,
        (true, false) => read_json(folder, &json_path, &settings)?,
        (false, true) => read_vocab(&vocab_path, &settings)?,
        (false, false) => {
            let reason = "neither tokenizer.json nor vocab.txt in this folder";
            return Err(Failure::input(&Place::file(folder), reason));
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
pub fn from_tokenizer_json(path: &Path) -> Result<Tokenizer, Failure> {
    parse_json(path, &TokenizerSettings::default())
}

/// Reads a `vocab.txt` that stands alone, with BERT's rules.
///
/// # Errors
/// When it is not a vocabulary.
pub fn from_vocab_txt(path: &Path, cased: bool) -> Result<Tokenizer, Failure> {
    read_vocab(path, &TokenizerSettings::standard(cased))
}

fn read_json(
    folder: &Path,
    path: &Path,
    settings: &TokenizerSettings,
) -> Result<Tokenizer, Failure> {
    let tokenizer = parse_json(path, settings)?;
    let agreement = settings.check_agreement(&tokenizer.config());
    agreement.map_err(|reason| {
        let path = folder.join("tokenizer_config.json");
        Failure::input(&Place::file(&path), reason)
    })?;
    Ok(tokenizer)
}

fn parse_json(path: &Path, settings: &TokenizerSettings) -> Result<Tokenizer, Failure> {
    let text = json::read_text(path)?;
    let file = tokenizer_json::parse(&text, settings.pad_token(), settings.mask_token())
        .map_err(|reason| Failure::input(&Place::file(path), reason))?;
    Tokenizer::from_pieces(&file.pieces, &file.rules).map_err(|e| Failure::library(path, e.into()))
}

fn read_vocab(path: &Path, settings: &TokenizerSettings) -> Result<Tokenizer, Failure> {
    let place = Place::file(path);
    let bytes = fs::read(path).map_err(|e| Failure::input(&place, e))?;
    let text = String::from_utf8_lossy(&bytes);
    let pieces: HashSet<&str> = text.lines().map(str::trim_end).collect();
    let rules = settings.rules(|piece| pieces.contains(piece));
    let rules = rules.map_err(|reason| Failure::input(&place, reason))?;
    Tokenizer::from_vocab_txt(&bytes, &rules).map_err(|e| Failure::library(path, e.into()))
}

fn read_both(
    folder: &Path,
    json_path: &Path,
    vocab_path: &Path,
    settings: &TokenizerSettings,
) -> Result<Tokenizer, Failure> {
    let tokenizer = read_json(folder, json_path, settings)?;
    let place = Place::file(vocab_path);
    let bytes = fs::read(vocab_path).map_err(|e| Failure::input(&place, e))?;
    let other = Tokenizer::from_vocab_txt(&bytes, &tokenizer.config())
        .map_err(|e| Failure::library(vocab_path, e.into()))?;
    let (ours, theirs) = (tokenizer.vocab_size() as u32, other.vocab_size() as u32);
    let differs = |&id: &u32| tokenizer.token(id) != other.token(id);
    match (0..ours.max(theirs)).find(differs) {
        None => Ok(tokenizer),
        Some(id) => Err(Failure::input(
            &place.at_line(u64::from(id) + 1),
            format!(
                "piece {id} is {:?}, but tokenizer.json has {:?}",
                other.token(id).unwrap_or_default(),
                tokenizer.token(id).unwrap_or_default()
            ),
        )),
    }
}
