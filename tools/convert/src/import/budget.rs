//! How much memory reading a source may take.
//!
//! The readers of a source share one [`Budget`]: [`SOURCE_FACTOR`] bytes for each byte of the files
//! that are read, and [`FIXED_BYTES`]. A reader takes from it what it is about to hold, before it
//! does. So a few bytes that ask for gigabytes (a pickle that copies, an archive that unpacks, a
//! graph that expands) end in an error, whatever the format.
//!
//! A growing vector has up to twice the room that it needs, and its former room while it moves. So
//! readers take [`GROWTH`] times the size of what they push.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that reading may hold for each byte of the source's files.
pub const SOURCE_FACTOR: u64 = 16;
/// Bytes that reading may hold besides.
pub const FIXED_BYTES: u64 = 64 << 20;
/// Bytes that reading never holds more of. The length of a sparse file says little, and no BERT is
/// larger.
pub const MOST_BYTES: u64 = 8 << 30;
/// Bytes that a conversion, or the check of an ONNX graph, may hold for each byte of the model's
/// weights in f32, besides what reading holds.
pub const MODEL_FACTOR: u64 = 4;

/// Bytes that computing one node of an ONNX graph may hold besides.
pub const NODE_BYTES: u64 = 256 << 20;

/// Longest header, pickle, metadata or text: what describes weights. The tokenizer.json of half a
/// million pieces has about 20 MB.
pub(crate) const LONGEST_TEXT: u64 = 256 << 20;

/// Room that a growing vector may take for each byte of its content.
pub(super) const GROWTH: u64 = 3;
/// What parsers hold for a value of JSON or a line of a vocabulary, besides its text: `serde`'s
/// buffered form of a value and the value, or a piece and its places in tables.
const PER_VALUE: u64 = 192;

#[derive(Debug)]
struct State {
    limit: AtomicU64,
    used: AtomicU64,
}

/// The memory that reading a source may take. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Budget(Arc<State>);

impl Budget {
    /// For a source of this many bytes.
    pub(super) fn of(source: u64) -> Self {
        Budget(Arc::new(State {
            limit: AtomicU64::new(
                source
                    .saturating_mul(SOURCE_FACTOR)
                    .saturating_add(FIXED_BYTES),
            ),
            used: AtomicU64::new(0),
        }))
    }

    /// The source has another file of this many bytes.
    pub(super) fn grow(&self, source: u64) {
        let more = source.saturating_mul(SOURCE_FACTOR);
        let limit = self.0.limit.load(Ordering::Relaxed);
        self.0
            .limit
            .store(limit.saturating_add(more), Ordering::Relaxed);
    }

    /// Takes what a reader is about to hold.
    ///
    /// # Errors
    /// When it is more than is left.
    pub(super) fn take(&self, bytes: u64) -> Result<(), String> {
        self.check(bytes)?;
        self.0.used.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Takes room for `count` more items of a growing vector.
    ///
    /// # Errors
    /// As [`Budget::take`].
    pub(super) fn push<T>(&self, count: usize) -> Result<(), String> {
        self.take((count as u64).saturating_mul(size_of::<T>() as u64 * GROWTH))
    }

    /// Refuses what is more than is left, without taking it.
    ///
    /// # Errors
    /// As [`Budget::take`].
    pub(super) fn check(&self, bytes: u64) -> Result<(), String> {
        let limit = self.0.limit.load(Ordering::Relaxed).min(MOST_BYTES);
        let used = self.0.used.load(Ordering::Relaxed);
        if bytes <= limit.saturating_sub(used) {
            return Ok(());
        }
        Err(format!(
            "would take {} bytes of memory, more than the {limit} that a source of this size may \
             take: damaged or hostile; get the model from its origin again",
            used.saturating_add(bytes)
        ))
    }

    /// Gives back what is no longer held.
    #[cfg(feature = "onnx")]
    pub(super) fn give(&self, bytes: u64) {
        let used = self.0.used.load(Ordering::Relaxed);
        self.0
            .used
            .store(used.saturating_sub(bytes), Ordering::Relaxed);
    }

    /// Takes what the values of a JSON text may take when it is parsed.
    ///
    /// # Errors
    /// As [`Budget::take`].
    pub(super) fn json(&self, text: &[u8]) -> Result<(), String> {
        let values = text
            .iter()
            .filter(|b| matches!(b, b',' | b':' | b'[' | b'{'));
        self.values(values.count(), text.len())
    }

    /// Takes what the lines of a vocabulary may take.
    ///
    /// # Errors
    /// As [`Budget::take`].
    pub(super) fn lines(&self, text: &[u8]) -> Result<(), String> {
        let lines = text.iter().filter(|&&b| b == b'\n').count();
        self.values(lines, text.len())
    }

    /// Takes what this many values, with this many bytes of text, may take.
    ///
    /// # Errors
    /// As [`Budget::take`].
    pub(super) fn values(&self, count: usize, text: usize) -> Result<(), String> {
        let values = (count as u64).saturating_mul(PER_VALUE);
        self.take(values.saturating_add((text as u64).saturating_mul(2)))
    }

    /// Gives back, when it is dropped, all that is taken after this.
    #[cfg(feature = "onnx")]
    pub(super) fn scope(&self) -> Scope {
        Scope {
            used: self.0.used.load(Ordering::Relaxed),
            budget: self.clone(),
        }
    }
}

impl Default for Budget {
    /// For a source without files.
    fn default() -> Self {
        Budget::of(0)
    }
}

/// Memory that is held for a while.
#[cfg(feature = "onnx")]
#[derive(Debug)]
pub(super) struct Scope {
    budget: Budget,
    used: u64,
}

#[cfg(feature = "onnx")]
impl Drop for Scope {
    fn drop(&mut self) {
        self.budget.0.used.store(self.used, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_never_more_than_the_source_allows() {
        let budget = Budget::of(1000);
        let all = 1000 * SOURCE_FACTOR + FIXED_BYTES;
        budget.take(all - 10).unwrap();
        budget.take(10).unwrap();
        let error = budget.clone().take(1).unwrap_err();
        assert!(error.contains(&all.to_string()), "{error}");
        assert!(budget.check(1).is_err());
        budget.grow(1);
        budget.take(SOURCE_FACTOR).unwrap();
        assert!(budget.take(u64::MAX).is_err());
        assert!(budget.push::<u64>(usize::MAX).is_err());
        let sparse = Budget::of(u64::MAX);
        sparse.take(MOST_BYTES).unwrap();
        assert!(sparse.take(1).is_err());
    }

    #[cfg(feature = "onnx")]
    #[test]
    fn a_scope_gives_back_what_was_taken_in_it() {
        let budget = Budget::of(0);
        budget.take(FIXED_BYTES / 2).unwrap();
        {
            let _scope = budget.scope();
            budget.take(FIXED_BYTES / 2).unwrap();
            assert!(budget.check(1).is_err());
            budget.give(5);
            budget.take(5).unwrap();
        }
        assert!(budget.check(FIXED_BYTES / 2).is_ok());
        assert!(budget.check(FIXED_BYTES / 2 + 1).is_err());
    }
}
