//! Pairs of texts: how much of each is kept, and the special tokens around them.

/// How many tokens truncation cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Truncation {
    /// From the query, or from the only text.
    pub query_tokens: usize,
    /// From the passage.
    pub passage_tokens: usize,
}

impl Truncation {
    /// Whether anything was cut.
    pub fn any(self) -> bool {
        self.query_tokens > 0 || self.passage_tokens > 0
    }
}

/// Which end of a text that is too long is cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TruncationSide {
    /// Its end.
    #[default]
    Right,
    /// Its beginning.
    Left,
}

/// What goes into the model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encoding {
    /// Token ids, special tokens included.
    pub ids: Vec<u32>,
    /// For each id, 0 for the query and 1 for the passage.
    pub type_ids: Vec<u8>,
    /// What did not fit.
    pub truncation: Truncation,
}

/// Tokens kept of two texts that have `a` and `b`, longest first, so that together they have at most
/// `budget`. The shorter text is kept whole where the longer one can give up enough; otherwise both
/// get half, and the odd token goes to the longer one, to `b` where they are equal.
pub fn truncate_pair(a: usize, b: usize, budget: usize) -> (usize, usize) {
    if a.checked_add(b).is_some_and(|total| total <= budget) {
        return (a, b);
    }
    let (shorter, longer) = if a.min(b) <= budget / 2 {
        (a.min(b), budget - a.min(b))
    } else {
        (budget / 2, budget - budget / 2)
    };
    if a > b {
        (longer, shorter)
    } else {
        (shorter, longer)
    }
}

#[cfg(test)]
mod tests {
    use super::truncate_pair;

    /// The rule as the original states it, case by case.
    fn reference(a: usize, b: usize, max: usize) -> (usize, usize) {
        if a + b <= max {
            return (a, b);
        }
        let swap = a > b;
        let mut n1 = a.min(b);
        let mut n2 = if n1 > max { n1 } else { n1.max(max - n1) };
        if n1 + n2 > max {
            n1 = max / 2;
            n2 = n1 + max % 2;
        }
        if swap { (n2, n1) } else { (n1, n2) }
    }

    #[test]
    fn truncation_is_the_original_rule() {
        for a in 0..40 {
            for b in 0..40 {
                for budget in 0..90 {
                    assert_eq!(
                        truncate_pair(a, b, budget),
                        reference(a, b, budget),
                        "{a} {b} {budget}"
                    );
                }
            }
        }
        let half = usize::MAX / 2;
        assert_eq!(
            truncate_pair(usize::MAX, usize::MAX, usize::MAX),
            (half, half + 1)
        );
    }
}
