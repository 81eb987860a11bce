//! Prompts: what a model wants before a text, such as `query: `.

use super::TokenizerError;

/// Longest prompt in bytes.
const LONGEST: usize = 4096;

/// What a text is for. It decides the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The query of a ranking.
    Query,
    /// A passage of a ranking.
    Passage,
    /// A text for [`crate::Encoder::encode`].
    Text,
}

/// Texts that go before the user's own, white space at their ends included. An empty prompt is
/// none.
///
/// The names are those of sentence-transformers: `encode_query`, `encode_document` and `encode`
/// put such prompts before their texts. A cross-encoder has a prompt for the query only, because
/// `CrossEncoder.predict` puts its prompt before the pair.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompts {
    /// For [`Role::Query`].
    pub query: String,
    /// For [`Role::Passage`].
    pub passage: String,
    /// For [`Role::Text`].
    pub text: String,
}

impl Prompts {
    /// The prompt of a role.
    pub fn of(&self, role: Role) -> &str {
        match role {
            Role::Query => &self.query,
            Role::Passage => &self.passage,
            Role::Text => &self.text,
        }
    }

    /// Whether no role has a prompt.
    pub fn is_empty(&self) -> bool {
        self.all().iter().all(|prompt| prompt.is_empty())
    }

    fn all(&self) -> [&String; 3] {
        [&self.query, &self.passage, &self.text]
    }

    /// The bytes of the section `tokenizer.prompts`.
    ///
    /// # Errors
    /// If a prompt is longer than 4096 bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, TokenizerError> {
        let mut bytes = Vec::new();
        for prompt in self.all() {
            if prompt.len() > LONGEST {
                let len = prompt.len();
                return Err(broken(format!(
                    "a prompt of {len} bytes, more than {LONGEST}"
                )));
            }
            bytes.extend((prompt.len() as u32).to_le_bytes());
            bytes.extend(prompt.as_bytes());
        }
        Ok(bytes)
    }

    /// Reads the section `tokenizer.prompts`.
    ///
    /// # Errors
    /// If it is not three texts of at most 4096 bytes, or all are empty.
    pub fn parse(bytes: &[u8]) -> Result<Prompts, TokenizerError> {
        let mut rest = bytes;
        let mut next = || {
            let (len, after) = rest.split_first_chunk()?;
            let len = u32::from_le_bytes(*len) as usize;
            let (prompt, after) = after.split_at_checked(len).filter(|_| len <= LONGEST)?;
            rest = after;
            Some(std::str::from_utf8(prompt).ok()?.to_owned())
        };
        let read = (next(), next(), next());
        let (Some(query), Some(passage), Some(text)) = read else {
            return Err(broken(format!(
                "not three UTF-8 texts of at most {LONGEST} bytes"
            )));
        };
        let prompts = Prompts {
            query,
            passage,
            text,
        };
        if !rest.is_empty() || prompts.is_empty() {
            return Err(broken(
                "bytes after the last prompt, or only empty prompts".into(),
            ));
        }
        Ok(prompts)
    }
}

fn broken(reason: String) -> TokenizerError {
    TokenizerError::Section {
        section: "tokenizer.prompts",
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompts(query: &str, passage: &str, text: &str) -> Prompts {
        Prompts {
            query: query.into(),
            passage: passage.into(),
            text: text.into(),
        }
    }

    #[test]
    fn the_section_holds_what_was_written() {
        for prompts in [
            prompts("query: ", "", ""),
            prompts("Instruct: rank\nQuery: ", "é ", "\u{1f600}"),
        ] {
            assert_eq!(Prompts::parse(&prompts.to_bytes().unwrap()), Ok(prompts));
        }
    }

    #[test]
    fn damage_and_long_prompts_are_refused() {
        let sound = prompts("q", "pp", "").to_bytes().unwrap();
        for len in 0..sound.len() {
            assert!(Prompts::parse(&sound[..len]).is_err(), "{len}");
        }
        assert!(Prompts::parse(&[&sound[..], b"x"].concat()).is_err());
        assert!(Prompts::parse(&[0; 12]).is_err());
        let mut not_text = sound.clone();
        not_text[4] = 0xff;
        assert!(Prompts::parse(&not_text).is_err());
        let mut endless = sound;
        endless[..4].fill(0xff);
        assert!(Prompts::parse(&endless).is_err());
        let longest = prompts(&"x".repeat(LONGEST), "", "");
        assert_eq!(Prompts::parse(&longest.to_bytes().unwrap()), Ok(longest));
        let error = prompts("", &"x".repeat(LONGEST + 1), "").to_bytes();
        assert!(error.unwrap_err().to_string().contains("4097"));
    }
}
