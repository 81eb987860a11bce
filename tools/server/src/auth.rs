//! Bearer tokens.

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// Digests of the accepted tokens. All digests have one length, so comparing takes the same time
/// whatever was sent.
pub(crate) struct Tokens(Vec<[u8; 32]>);

impl Tokens {
    /// An empty list admits everyone.
    pub(crate) fn new(tokens: &[String]) -> Self {
        let digests = tokens.iter().map(|token| digest(token.as_bytes()));
        Tokens(digests.collect())
    }

    /// Whether a request with this token, or with none, is admitted.
    pub(crate) fn admit(&self, token: Option<&[u8]>) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let Some(token) = token else {
            return false;
        };
        let sent = digest(token);
        let none = Choice::from(0);
        let equal = self
            .0
            .iter()
            .fold(none, |found, known| found | known.ct_eq(&sent));
        equal.into()
    }
}

fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_is_admitted() {
        let tokens = Tokens::new(&["one".into(), "two".into()]);
        for good in ["one", "two"] {
            assert!(tokens.admit(Some(good.as_bytes())), "{good}");
        }
        for bad in ["on", "onee", "", " one", "onetwo"] {
            assert!(!tokens.admit(Some(bad.as_bytes())), "{bad}");
        }
        assert!(!tokens.admit(None));
        assert!(Tokens::new(&[]).admit(None));
    }
}
