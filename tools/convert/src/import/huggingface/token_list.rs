//! The tokens that a folder's files add, found by text and by id without a search.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use lanerank::tokenizer::AddedToken;

#[cfg(test)]
thread_local! {
    /// Operations on lists of this thread.
    pub(super) static OPERATIONS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Counts an operation, for the tests.
fn count() {
    #[cfg(test)]
    OPERATIONS.with(|operations| operations.set(operations.get() + 1));
}

/// A list of tokens. No operation takes longer in a longer list: files may name very many.
#[derive(Default)]
pub(super) struct TokenList {
    tokens: Vec<AddedToken>,
    /// The first token with a text.
    texts: HashMap<String, usize>,
    /// The first token with an id, and the first of them with another text.
    ids: HashMap<u32, (usize, Option<usize>)>,
    last_id: Option<u32>,
}

impl TokenList {
    /// These tokens, in this order.
    pub(super) fn new(tokens: Vec<AddedToken>) -> Self {
        let mut list = TokenList::default();
        tokens.into_iter().for_each(|token| list.push(token));
        list
    }

    /// The first token with this text.
    pub(super) fn find(&self, text: &str) -> Option<&AddedToken> {
        count();
        self.texts.get(text).map(|&at| &self.tokens[at])
    }

    /// A token with this id and another text.
    pub(super) fn other(&self, id: u32, text: &str) -> Option<&AddedToken> {
        count();
        let &(first, other) = self.ids.get(&id)?;
        let first = &self.tokens[first];
        if first.content != text {
            return Some(first);
        }
        other.map(|other| &self.tokens[other])
    }

    /// An id after all others.
    pub(super) fn next_id(&self) -> u32 {
        count();
        self.last_id.map_or(0, |last| last.saturating_add(1))
    }

    /// Appends a token.
    pub(super) fn push(&mut self, token: AddedToken) {
        count();
        let at = self.tokens.len();
        self.texts.entry(token.content.clone()).or_insert(at);
        self.tokens.push(token);
        self.note_id(at);
    }

    /// Puts a token in the place of the first with its text. Both have the same id, or the former
    /// one has none.
    pub(super) fn replace(&mut self, token: AddedToken) {
        count();
        if let Some(&at) = self.texts.get(&token.content) {
            self.tokens[at] = token;
            self.note_id(at);
        }
    }

    fn note_id(&mut self, at: usize) {
        let Some(id) = self.tokens[at].id else { return };
        self.last_id = self.last_id.max(Some(id));
        match self.ids.entry(id) {
            Entry::Vacant(place) => {
                place.insert((at, None));
            }
            Entry::Occupied(mut place) => {
                let (first, other) = place.get_mut();
                if self.tokens[*first].content != self.tokens[at].content {
                    other.get_or_insert(at);
                }
            }
        }
    }

    /// The tokens in their order.
    pub(super) fn into_tokens(self) -> Vec<AddedToken> {
        self.tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(content: &str, id: Option<u32>) -> AddedToken {
        AddedToken {
            id,
            ..AddedToken::special(content)
        }
    }

    #[test]
    fn tokens_are_found_by_text_and_by_id() {
        let tokens = [("a", Some(7)), ("b", None), ("a", Some(8)), ("c", Some(7))];
        let mut list = TokenList::new(tokens.map(|(text, id)| token(text, id)).to_vec());
        assert_eq!(list.find("a").unwrap().id, Some(7));
        assert_eq!(list.find("d"), None);
        let other = |list: &TokenList, id, text| list.other(id, text).map(|t| t.content.clone());
        assert_eq!(other(&list, 7, "a").as_deref(), Some("c"));
        assert_eq!(other(&list, 7, "c").as_deref(), Some("a"));
        assert_eq!(other(&list, 8, "a"), None);
        assert_eq!((list.next_id(), TokenList::default().next_id()), (9, 0));
        list.replace(token("b", Some(u32::MAX)));
        assert_eq!(other(&list, u32::MAX, "x").as_deref(), Some("b"));
        assert_eq!(list.next_id(), u32::MAX);
        let texts = list.into_tokens().into_iter().map(|token| token.content);
        assert_eq!(texts.collect::<String>(), "abac");
    }
}
