//! A JSON parser for the goldens. Bad input panics: the files are the tests' own.

use std::ops::Index;

/// A value.
#[derive(Debug)]
pub(crate) enum Json {
    Bool(bool),
    Number(i64),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub(crate) fn parse(text: &str) -> Json {
        let mut parser = Parser { text, at: 0 };
        let value = parser.value();
        assert_eq!(parser.at, text.len(), "something after the value in {text}");
        value
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Json::Object(fields) => fields.iter().find(|(key, _)| key == name).map(|(_, v)| v),
            _ => panic!("{self:?} is no object"),
        }
    }

    pub(crate) fn str(&self) -> &str {
        match self {
            Json::Text(text) => text,
            _ => panic!("{self:?} is no string"),
        }
    }

    pub(crate) fn number(&self) -> i64 {
        match self {
            Json::Number(number) => *number,
            _ => panic!("{self:?} is no number"),
        }
    }

    pub(crate) fn bool(&self) -> bool {
        match self {
            Json::Bool(bool) => *bool,
            _ => panic!("{self:?} is no bool"),
        }
    }

    pub(crate) fn array(&self) -> &[Json] {
        match self {
            Json::Array(values) => values,
            _ => panic!("{self:?} is no array"),
        }
    }
}

impl Index<&str> for Json {
    type Output = Json;
    fn index(&self, name: &str) -> &Json {
        self.get(name)
            .unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn skip(&mut self, expected: &str) -> bool {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
        let found = self.text[self.at..].starts_with(expected);
        self.at += if found { expected.len() } else { 0 };
        found
    }

    fn value(&mut self) -> Json {
        if self.skip("{") {
            Json::Object(self.list("}", |p| {
                assert!(p.skip("\""));
                let key = p.string();
                assert!(p.skip(":"));
                (key, p.value())
            }))
        } else if self.skip("[") {
            Json::Array(self.list("]", Self::value))
        } else if self.skip("\"") {
            Json::Text(self.string())
        } else if self.skip("true") {
            Json::Bool(true)
        } else if self.skip("false") {
            Json::Bool(false)
        } else {
            let rest = &self.text[self.at..];
            let len = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            self.at += len;
            Json::Number(rest[..len].parse().unwrap())
        }
    }

    fn list<T>(&mut self, end: &str, item: impl Fn(&mut Self) -> T) -> Vec<T> {
        let mut items = Vec::new();
        while !self.skip(end) {
            items.push(item(self));
            self.skip(",");
        }
        items
    }

    fn string(&mut self) -> String {
        let mut units = Vec::new();
        loop {
            let c = self.char();
            match c {
                '"' => return String::from_utf16(&units).unwrap(),
                '\\' => units.push(self.escape()),
                c => units.extend_from_slice(c.encode_utf16(&mut [0; 2])),
            }
        }
    }

    fn char(&mut self) -> char {
        let c = self.text[self.at..].chars().next().unwrap();
        self.at += c.len_utf8();
        c
    }

    fn escape(&mut self) -> u16 {
        match self.char() {
            'b' => 8,
            't' => 9,
            'n' => 10,
            'f' => 12,
            'r' => 13,
            'u' => {
                self.at += 4;
                u16::from_str_radix(&self.text[self.at - 4..self.at], 16).unwrap()
            }
            c => c as u16,
        }
    }
}
