//! `tokenizer_config.json`: the rules of a tokenizer without `tokenizer.json`, and a check of those
//! of a tokenizer with one.

use std::collections::BTreeMap;

use lanerank::tokenizer::{AddedToken, TokenizerConfig, TokenizerKind};
use serde::Deserialize;
use serde_json::Value;

use super::tokenizer_json::Named;
use super::tokenizer_keys;
use crate::import::entries::Entries;
use crate::import::error::ImportError;
use crate::import::files::Files;

/// Tokenizer classes that are BERT's WordPiece.
const WORDPIECE: [&str; 4] = [
    "BertTokenizer",
    "BertTokenizerFast",
    "ElectraTokenizer",
    "ElectraTokenizerFast",
];

/// Longest word that BERT's tokenizers look up.
const MAX_WORD_CHARS: u32 = 100;

/// Name of the file.
pub(super) const FILE: &str = "tokenizer_config.json";

/// A special token: its text, or an object with its text.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Token {
    Text(String),
    Object(Object),
}

/// A token with its flags.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Object {
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    normalized: Option<bool>,
    #[serde(default)]
    special: bool,
}

impl Object {
    fn added(&self, id: Option<u32>, special: bool) -> AddedToken {
        AddedToken {
            content: self.content.clone(),
            id,
            single_word: self.single_word,
            lstrip: self.lstrip,
            rstrip: self.rstrip,
            normalized: self.normalized.unwrap_or(!special),
            special,
        }
    }
}

impl Token {
    /// The text.
    pub(super) fn text(&self) -> &str {
        match self {
            Token::Text(text) => text,
            Token::Object(object) => &object.content,
        }
    }

    /// The special token.
    pub(super) fn special(&self) -> AddedToken {
        match self {
            Token::Text(text) => AddedToken::special(text),
            Token::Object(object) => object.added(None, true),
        }
    }
}

/// Special tokens without or with names.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Tokens {
    List(Vec<Token>),
    Map(Entries<Token>),
}

impl Tokens {
    fn iter(&self) -> Box<dyn Iterator<Item = &Token> + '_> {
        match self {
            Tokens::List(tokens) => Box::new(tokens.iter()),
            Tokens::Map(entries) => Box::new(entries.0.iter().map(|(_, token)| token)),
        }
    }
}

/// The fields of `tokenizer_config.json` that affect the ids. Missing fields have no effect.
#[derive(Debug, Default, Deserialize)]
pub(super) struct TokenizerSettings {
    tokenizer_class: Option<String>,
    do_lower_case: Option<bool>,
    strip_accents: Option<bool>,
    tokenize_chinese_chars: Option<bool>,
    never_split: Option<Vec<Value>>,
    /// Some files have 1e30 for "no limit".
    model_max_length: Option<f64>,
    /// The former name of `model_max_length`.
    max_len: Option<f64>,
    model_input_names: Option<Vec<String>>,
    unk_token: Option<Token>,
    cls_token: Option<Token>,
    sep_token: Option<Token>,
    pad_token: Option<Token>,
    mask_token: Option<Token>,
    /// Tokens by their ids.
    added_tokens_decoder: Option<Entries<Object>>,
    additional_special_tokens: Option<Tokens>,
    extra_special_tokens: Option<Tokens>,
    model_specific_special_tokens: Option<Tokens>,
    /// All other keys.
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

impl TokenizerSettings {
    /// Reads a model's `tokenizer_config.json`. Without the file, nothing is set.
    ///
    /// # Errors
    /// When the file cannot be read, or turns off BERT's own splitting of words.
    pub(super) fn read(files: &Files) -> Result<Self, ImportError> {
        let settings: Self = files.read_json_if_there(FILE)?.unwrap_or_default();
        match settings.check() {
            Ok(()) => Ok(settings),
            Err(reason) => Err(ImportError::at(files.path(FILE), reason)),
        }
    }

    /// BERT's own settings, for uncased or cased text.
    pub(super) fn standard(cased: bool) -> Self {
        TokenizerSettings {
            do_lower_case: Some(!cased),
            ..Self::default()
        }
    }

    fn check(&self) -> Result<(), String> {
        tokenizer_keys::check(&self.others)?;
        if self
            .never_split
            .as_ref()
            .is_some_and(|words| !words.is_empty())
        {
            return Err("never_split is not supported".into());
        }
        Ok(())
    }

    /// The maximum length, if it is set and fits the machine.
    pub(super) fn max_length(&self) -> Option<usize> {
        let length = self.model_max_length.or(self.max_len)?;
        (1.0..1e9).contains(&length).then_some(length as usize)
    }

    /// Whether the model gets no token types, which makes all of them 0.
    pub(super) fn one_type(&self) -> bool {
        match (&self.model_input_names, self.tokenizer_class.as_deref()) {
            (Some(names), _) => !names.iter().any(|name| name == "token_type_ids"),
            (None, class) => class.is_some_and(|class| class.starts_with("DistilBertTokenizer")),
        }
    }

    /// A note on unknown keys.
    pub(super) fn note(&self) -> Option<String> {
        tokenizer_keys::unknown(&self.others)
    }

    /// Texts of the tokens that `tokenizer.json` does not name, where the file has them.
    pub(super) fn unnamed(&self) -> Named<'_> {
        Named {
            pad: self.pad_token.as_ref().map(Token::text),
            mask: self.mask_token.as_ref().map(Token::text),
        }
    }

    /// The tokens of `added_tokens_decoder`, in order of their ids.
    ///
    /// # Errors
    /// Names a key that is not an id.
    pub(super) fn added_tokens(&self) -> Result<Vec<AddedToken>, String> {
        let mut tokens = Vec::new();
        let entries = self.added_tokens_decoder.as_ref();
        for (key, token) in entries.map_or(&[][..], |entries| &entries.0) {
            let id: u32 = key
                .parse()
                .map_err(|_| format!("added_tokens_decoder: {key:?} is not an id"))?;
            tokens.push(token.added(Some(id), token.special));
        }
        tokens.sort_by_key(|token| token.id);
        Ok(tokens)
    }

    /// Special tokens in addition to the five of BERT: those of the lists, and those of keys that
    /// end in `_token`.
    pub(super) fn special_tokens(&self) -> Vec<AddedToken> {
        let other = |(key, value): (&String, &Value)| {
            let token: Option<Token> = serde_json::from_value(value.clone()).ok();
            token.filter(|_| key.ends_with("_token"))
        };
        let lists = [
            &self.model_specific_special_tokens,
            &self.additional_special_tokens,
            &self.extra_special_tokens,
        ];
        let listed = lists.into_iter().flatten().flat_map(Tokens::iter);
        let others = self.others.iter().filter_map(other);
        others
            .map(|token| token.special())
            .chain(listed.map(Token::special))
            .collect()
    }

    fn named(&self) -> impl Iterator<Item = &Token> {
        let named = [
            &self.unk_token,
            &self.cls_token,
            &self.sep_token,
            &self.pad_token,
            &self.mask_token,
        ];
        named.into_iter().flatten()
    }

    /// The texts of BERT's five special tokens, if the file has them.
    pub(super) fn named_texts(&self) -> impl Iterator<Item = &str> {
        self.named().map(Token::text)
    }

    /// BERT's special token with this text.
    fn five(&self, text: &str) -> AddedToken {
        let token = self.named().find(|token| token.text() == text);
        token.map_or_else(|| AddedToken::special(text), Token::special)
    }

    /// The rules for a `vocab.txt`, with BERT's defaults. `has` tells whether the vocabulary has a
    /// piece.
    ///
    /// # Errors
    /// When the file names another tokenizer than BERT's.
    pub(super) fn rules(&self, has: impl Fn(&str) -> bool) -> Result<TokenizerConfig, String> {
        if let Some(class) = &self.tokenizer_class
            && !WORDPIECE.contains(&class.as_str())
        {
            return Err(format!(
                "tokenizer_class {class:?} with a vocab.txt is not supported; only BertTokenizer is"
            ));
        }
        let lowercase = self.do_lower_case.unwrap_or(true);
        let [unk, cls, sep] = [
            name(&self.unk_token, "[UNK]"),
            name(&self.cls_token, "[CLS]"),
            name(&self.sep_token, "[SEP]"),
        ];
        let [pad, mask] = [
            name(&self.pad_token, "[PAD]"),
            name(&self.mask_token, "[MASK]"),
        ];
        let special = [&pad, &unk, &cls, &sep, &mask];
        let known = special.into_iter().filter(|token| has(token));
        Ok(TokenizerConfig {
            kind: TokenizerKind::WordPiece,
            lowercase,
            strip_accents: self.strip_accents.unwrap_or(lowercase),
            clean_text: true,
            handle_chinese_chars: self.tokenize_chinese_chars.unwrap_or(true),
            max_input_chars_per_word: MAX_WORD_CHARS,
            continuing_subword_prefix: "##".into(),
            added_tokens: known.map(|token| self.five(token)).collect(),
            mask_token: has(&mask).then_some(mask),
            unk_token: unk,
            cls_token: cls,
            sep_token: sep,
            pad_token: pad,
        })
    }

    /// Checks these settings against the rules of a `tokenizer.json`. If they differ, the result
    /// would depend on the program that loads the model, so a difference is an error.
    ///
    /// # Errors
    /// Names the rule that differs.
    pub(super) fn check_agreement(&self, rules: &TokenizerConfig) -> Result<(), String> {
        let lowercase = self.do_lower_case.unwrap_or(rules.lowercase);
        let pairs = [
            ("do_lower_case", self.do_lower_case, rules.lowercase),
            (
                "tokenize_chinese_chars",
                self.tokenize_chinese_chars,
                rules.handle_chinese_chars,
            ),
            (
                "strip_accents",
                self.do_lower_case
                    .map(|_| self.strip_accents.unwrap_or(lowercase)),
                rules.strip_accents,
            ),
        ];
        for (name, here, there) in pairs {
            if here.is_some_and(|here| here != there) {
                return Err(format!(
                    "{name} is {}, but tokenizer.json says {there}",
                    !there
                ));
            }
        }
        if matches!(rules.kind, TokenizerKind::Unigram(_))
            && self.others.get("add_prefix_space") == Some(&Value::Bool(false))
        {
            return Err(
                "add_prefix_space is false, but tokenizer.json puts a mark before every \
                 word"
                    .into(),
            );
        }
        let texts = [
            ("unk_token", &self.unk_token, &rules.unk_token),
            ("cls_token", &self.cls_token, &rules.cls_token),
            ("sep_token", &self.sep_token, &rules.sep_token),
        ];
        for (name, here, there) in texts {
            let differs = |token: &&Token| token.text() != there;
            if let Some(token) = here.as_ref().filter(differs) {
                let here = token.text();
                return Err(format!(
                    "{name} is {here:?}, but tokenizer.json says {there:?}"
                ));
            }
        }
        Ok(())
    }
}

fn name(token: &Option<Token>, default: &str) -> String {
    token.as_ref().map_or(default, Token::text).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(value: Value) -> TokenizerSettings {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn rules_of_a_vocabulary() {
        let rules = settings(json!({}))
            .rules(|token| token != "[MASK]")
            .unwrap();
        assert!(rules.lowercase && rules.strip_accents && rules.handle_chinese_chars);
        assert_eq!(rules.mask_token, None);
        let added: Vec<_> = rules
            .added_tokens
            .iter()
            .map(|t| t.content.as_str())
            .collect();
        assert_eq!(added, ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]);
        let cased = json!({
            "do_lower_case": false, "sep_token": {"content": "</s>", "lstrip": false},
            "tokenizer_class": "BertTokenizerFast", "model_max_length": 1e30
        });
        let cased = settings(cased);
        let rules = cased.rules(|_| true).unwrap();
        assert!(!rules.lowercase && !rules.strip_accents);
        assert_eq!(
            (rules.sep_token.as_str(), cased.max_length()),
            ("</s>", None)
        );
        assert_eq!(
            settings(json!({"model_max_length": 512})).max_length(),
            Some(512)
        );
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let other = settings(json!({"tokenizer_class": "BertJapaneseTokenizer"}));
        assert!(
            other
                .rules(|_| true)
                .unwrap_err()
                .contains("BertJapaneseTokenizer")
        );
        let left = settings(json!({"truncation_side": "left"}));
        assert!(left.check().unwrap_err().contains("truncation_side"));
        let basic = settings(json!({"do_basic_tokenize": false}));
        assert!(basic.check().unwrap_err().contains("do_basic_tokenize"));
        assert!(settings(json!({"never_split": ["x"]})).check().is_err());
        assert!(
            settings(json!({"never_split": null, "strip_accents": null}))
                .check()
                .is_ok()
        );
    }

    #[test]
    fn former_names_and_missing_inputs() {
        let of = |value| settings(value);
        assert_eq!(of(json!({"max_len": 128})).max_length(), Some(128));
        let both = of(json!({"max_len": 128, "model_max_length": 256}));
        assert_eq!(both.max_length(), Some(256));
        assert!(of(json!({"model_input_names": ["input_ids", "attention_mask"]})).one_type());
        let usual = json!({"model_input_names": ["input_ids", "token_type_ids"]});
        assert!(!of(usual).one_type() && !of(json!({})).one_type());
        let class = json!({"tokenizer_class": "DistilBertTokenizerFast"});
        assert!(of(class).one_type());
    }

    #[test]
    fn disagreement_is_named() {
        let rules = settings(json!({})).rules(|_| true).unwrap();
        let check = |value| settings(value).check_agreement(&rules);
        assert_eq!(check(json!({})), Ok(()));
        assert_eq!(
            check(json!({"do_lower_case": true, "strip_accents": null})),
            Ok(())
        );
        for (value, name) in [
            (json!({"do_lower_case": false}), "do_lower_case"),
            (
                json!({"do_lower_case": true, "strip_accents": false}),
                "strip_accents",
            ),
            (
                json!({"tokenize_chinese_chars": false}),
                "tokenize_chinese_chars",
            ),
            (json!({"unk_token": "<unk>"}), "unk_token"),
        ] {
            assert!(check(value).unwrap_err().starts_with(name));
        }
    }
}
