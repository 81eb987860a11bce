//! `lanerank rerank --explain`: the words behind a score.

use std::io::{self, Write};

use console::style;
use lanerank::Explanation;
use serde::Serialize;

use crate::output::flat;

/// Number of words listed below a passage.
const NAMED: usize = 8;

/// A piece of a passage; the pieces together are the passage.
#[derive(Debug, Serialize)]
pub(crate) struct Piece<'a> {
    /// Its text.
    text: &'a str,
    /// Its contribution to the logit; `None` between words and for truncated words.
    effect: Option<f32>,
}

/// Splits a passage at the spans of its explanation.
pub(crate) fn pieces<'a>(text: &'a str, explanation: &Explanation) -> Vec<Piece<'a>> {
    let piece = |span: &lanerank::Span| Piece {
        text: &text[span.range.clone()],
        effect: span.effect,
    };
    explanation.spans.iter().map(piece).collect()
}

/// Writes each passage with coloured words, if colours are on, and its most important words.
///
/// # Errors
/// When `out` cannot be written.
pub(crate) fn write<'a>(
    out: &mut dyn Write,
    explained: impl Iterator<Item = (usize, &'a [Piece<'a>])>,
) -> io::Result<()> {
    for (rank, pieces) in explained {
        let effects = pieces.iter().filter_map(|piece| piece.effect);
        let largest = effects.fold(0.0, |most: f32, effect| most.max(effect.abs()));
        write!(out, "\n{rank:>4}  ")?;
        if console::colors_enabled() {
            for piece in pieces {
                write_coloured(out, piece, largest)?;
            }
            write!(out, "\n      ")?;
        }
        writeln!(out, "{}", strongest(pieces))?;
    }
    Ok(())
}

/// Colours words that raise the score green and words that lower it red; strong ones bold, weak
/// ones plain.
fn write_coloured(out: &mut dyn Write, piece: &Piece, largest: f32) -> io::Result<()> {
    let text = style(flat(piece.text));
    let share = piece.effect.unwrap_or(0.0) / largest.max(f32::MIN_POSITIVE);
    let text = match share {
        share if share >= 0.1 => text.green(),
        share if share <= -0.1 => text.red(),
        _ => text,
    };
    if share.abs() >= 0.5 {
        write!(out, "{}", text.bold())
    } else {
        write!(out, "{text}")
    }
}

/// The words with the largest effects, with their signs.
fn strongest(pieces: &[Piece]) -> String {
    let mut words: Vec<(f32, &str)> = pieces
        .iter()
        .filter_map(|piece| Some((piece.effect?, piece.text)))
        .collect();
    words.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()));
    words.truncate(NAMED);
    let named = words
        .iter()
        .map(|(effect, word)| format!("{} {effect:+.2}", flat(word)));
    named.collect::<Vec<_>>().join("  ")
}
