//! The passages that `rerank` ranks together: those of one input, or of several files.

use std::ops::Range;
use std::path::PathBuf;

use lanerank_requests::RequestError;

use crate::failure::{Failure, Place};
use crate::input::{Input, MAX_WHOLE};
use crate::passages::{self, InputFormat, MAX_PASSAGES, Passage};

/// An input and its part of the passages.
struct Source {
    place: Place,
    name: String,
    passages: Range<usize>,
    query: Option<String>,
}

/// All passages, in the order of the inputs.
pub(crate) struct Candidates {
    pub passages: Vec<Passage>,
    sources: Vec<Source>,
}

impl Candidates {
    /// Reads the files, or standard input if there is none. Together they are as long as one may
    /// be, and hold as many passages.
    ///
    /// # Errors
    /// When an input cannot be read or has not the given form.
    pub(crate) fn read(files: &[PathBuf], format: InputFormat) -> Result<Candidates, Failure> {
        let mut read = Candidates {
            passages: Vec::new(),
            sources: Vec::new(),
        };
        let mut room = MAX_WHOLE;
        let default = [None];
        let named: Vec<_> = files.iter().map(|file| Some(file.as_path())).collect();
        for file in if named.is_empty() {
            &default[..]
        } else {
            &named
        } {
            let input = Input::open(*file)?;
            let place = input.place().clone();
            let text = input.read_whole(room)?;
            room -= text.len() as u64;
            let request = passages::parse(&text, format, &place)?;
            let start = read.passages.len();
            read.passages.extend(request.passages);
            let (count, most) = (read.passages.len(), MAX_PASSAGES);
            if count > most {
                let error = RequestError::TooManyTexts { count, most };
                return Err(Failure::request(&place, &error));
            }
            read.sources.push(Source {
                name: place.to_string(),
                place,
                passages: start..read.passages.len(),
                query: request.query,
            });
        }
        Ok(read)
    }

    /// The query that the inputs name.
    ///
    /// # Errors
    /// When they name none, or different ones.
    pub(crate) fn query(&self) -> Result<&str, Failure> {
        let mut named = self
            .sources
            .iter()
            .filter_map(|source| Some((source, source.query.as_deref()?)));
        let Some((first, query)) = named.next() else {
            return Err(Failure::input(
                &self.sources[0].place,
                "no query: give --query, or a request object with one",
            ));
        };
        match named.find(|(_, other)| *other != query) {
            Some((other, _)) => {
                let reason = format!(
                    "its query differs from that of {}: give --query, or rank them one by one",
                    first.name
                );
                Err(Failure::input(&other.place, reason))
            }
            None => Ok(query),
        }
    }

    /// The inputs, for a message.
    pub(crate) fn places(&self) -> String {
        let names: Vec<&str> = self.sources.iter().map(|s| s.name.as_str()).collect();
        names.join(", ")
    }

    /// The file of a passage, if there are several.
    pub(crate) fn file_of(&self, index: usize) -> Option<&str> {
        if self.sources.len() == 1 {
            return None;
        }
        let after = self.sources.partition_point(|s| s.passages.end <= index);
        self.sources.get(after).map(|source| source.name.as_str())
    }

    /// The first stage's scores, for fusion.
    ///
    /// # Errors
    /// When a passage has none.
    pub(crate) fn first_stage(&self) -> Result<Vec<f32>, Failure> {
        let mut scores = Vec::with_capacity(self.passages.len());
        for source in &self.sources {
            let passages = &self.passages[source.passages.clone()];
            scores.extend(passages::first_stage(passages, &source.place)?);
        }
        Ok(scores)
    }
}
