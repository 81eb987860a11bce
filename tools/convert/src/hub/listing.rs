//! The hub's listing of a commit, a page at a time. Only files that belong to a model are held.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};

use super::HubError;
use super::client::protocol;
use super::digest::Digest;
use super::download::Listed;
use super::files;
use crate::import::LONGEST_TEXT;

/// Most files that are held: a few, and the weights in parts.
const MAX_FILES: usize = 2000;
/// Characters of a digest that are quoted.
const QUOTED: usize = 80;

/// An entry of the listing.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    path: Cow<'a, str>,
    #[serde(default)]
    size: u64,
    #[serde(borrow)]
    oid: Cow<'a, str>,
    #[serde(borrow)]
    lfs: Option<Lfs<'a>>,
}

#[derive(Deserialize)]
struct Lfs<'a> {
    #[serde(borrow)]
    oid: Cow<'a, str>,
    size: u64,
}

impl Entry<'_> {
    fn listed(self) -> Result<Listed, String> {
        let (oid, size) = match &self.lfs {
            Some(lfs) => (&lfs.oid, lfs.size),
            None => (&self.oid, self.size),
        };
        let Some(digest) = Digest::parse(oid) else {
            let oid: String = oid.chars().take(QUOTED).collect();
            return Err(format!("{}: not a digest: {oid:?}", self.path));
        };
        if size > LONGEST_TEXT && files::is_text(&self.path) {
            return Err(format!(
                "{}: {size} bytes; at most {LONGEST_TEXT} are read",
                self.path
            ));
        }
        Ok(Listed {
            path: self.path.into_owned(),
            size,
            digest,
        })
    }
}

/// Adds the model's files of a page to `files`.
pub(super) fn read(url: &str, page: &[u8], files: &mut Vec<Listed>) -> Result<(), HubError> {
    let mut deserializer = serde_json::Deserializer::from_slice(page);
    let read = Page(files).deserialize(&mut deserializer);
    read.and_then(|()| deserializer.end())
        .map_err(|e| protocol(url, e))
}

struct Page<'a>(&'a mut Vec<Listed>);

impl<'de> DeserializeSeed<'de> for Page<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Page<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of files")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(entry) = seq.next_element::<Entry>()? {
            if entry.kind != "file" || !files::is_part(&entry.path) {
                continue;
            }
            if self.0.len() == MAX_FILES {
                return Err(A::Error::custom("too many files"));
            }
            self.0.push(entry.listed().map_err(A::Error::custom)?);
        }
        Ok(())
    }
}
