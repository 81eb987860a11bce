//! The requests to time.

use serde::Deserialize;

/// A query and its candidates.
#[derive(Debug, Clone, Deserialize)]
pub struct Request {
    /// The query.
    pub query: String,
    /// The candidates.
    pub passages: Vec<String>,
}

/// Named requests, in order.
pub type Workload = Vec<(String, Request)>;

/// A small workload: one passage, ten short ones and a hundred of mixed lengths.
pub fn built_in() -> Workload {
    let request = |passages: usize, sentences: fn(usize) -> usize| Request {
        query: "how do tides depend on the moon".to_owned(),
        passages: (0..passages).map(|i| passage(i, sentences(i))).collect(),
    };
    vec![
        ("single".to_owned(), request(1, |_| 4)),
        ("short10".to_owned(), request(10, |_| 1)),
        ("mixed100".to_owned(), request(100, |i| 1 + i * 7 % 6)),
    ]
}

const SENTENCES: [&str; 8] = [
    "The moon pulls on the oceans and raises two bulges of water, one towards it and one away from \
     it.",
    "Spring tides come when sun and moon stand in one line, neap tides when they stand at right \
     angles.",
    "A harbour master reads the height of the water from a table that is printed for every port.",
    "Clay holds more water than sand, which is why gardens on heavy soil drain slowly after rain.",
    "In a narrow bay the tide can rise by more than ten metres between low water and high water.",
    "Bread dough rises faster in a warm kitchen because yeast works best at about thirty degrees.",
    "Friction between the tides and the sea floor slows the turning of the earth by a tiny amount.",
    "The train to the coast leaves every hour and takes twenty minutes to the last station.",
];

fn passage(start: usize, sentences: usize) -> String {
    let sentence = |i: usize| SENTENCES[(start * 3 + i) % SENTENCES.len()];
    (0..sentences).map(sentence).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_workload_has_passages_of_several_lengths() {
        let workload = built_in();
        let sizes: Vec<_> = workload.iter().map(|(_, r)| r.passages.len()).collect();
        assert_eq!(sizes, [1, 10, 100]);
        let lengths = workload[2].1.passages.iter().map(String::len);
        assert!(lengths.clone().max().unwrap() > 4 * lengths.min().unwrap());
    }
}
