//! Bearer tokens.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// The tokens that open the door, as digests: of equal length whatever the tokens', so that comparing
/// them takes the same time whatever was sent.
pub struct Tokens(Vec<[u8; 32]>);

impl Tokens {
    /// Takes the tokens; none means that everyone may come in.
    pub fn new(tokens: &[String]) -> Self {
        Tokens(
            tokens
                .iter()
                .map(|token| digest(token.as_bytes()))
                .collect(),
        )
    }

    /// Whether a request with these headers may come in.
    pub fn admit(&self, headers: &HeaderMap) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let Some(sent) = bearer(headers) else {
            return false;
        };
        let sent = digest(sent);
        let none = Choice::from(0);
        let equal = self
            .0
            .iter()
            .fold(none, |found, token| found | token.ct_eq(&sent));
        equal.into()
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_opens() {
        let tokens = Tokens::new(&["one".into(), "two".into()]);
        let admit = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            tokens.admit(&headers)
        };
        for good in ["Bearer one", "bearer two", "BEARER  two "] {
            assert!(admit(good), "{good}");
        }
        for bad in [
            "Bearer",
            "Bearer ",
            "Bearer on",
            "Bearer onee",
            "Basic one",
            "one",
            "",
        ] {
            assert!(!admit(bad), "{bad}");
        }
        assert!(!tokens.admit(&HeaderMap::new()));
        assert!(Tokens::new(&[]).admit(&HeaderMap::new()));
    }
}
