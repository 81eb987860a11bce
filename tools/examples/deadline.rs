//! Ranks a stream of passages until a deadline: `cargo run --release --example deadline -- 20`
//! gives it 20 milliseconds.

use std::time::{Duration, Instant};

use lanerank::{Hit, Ranker, RerankOptions};

/// Passages that a search engine hands over at a time.
const PAGE: usize = 50;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let milliseconds = std::env::args().nth(1).map_or(Ok(20), |arg| arg.parse())?;
    let ranker = Ranker::new()?;
    let passages: Vec<String> = (0..2000)
        .map(|i| {
            format!(
                "Shelf {i}: a paper bag keeps bread fresh for {} days.",
                i % 7
            )
        })
        .collect();

    let options = RerankOptions {
        deadline: Some(Instant::now() + Duration::from_millis(milliseconds)),
        ..RerankOptions::default()
    };
    // Read once, used for every page.
    let query = ranker.read_query("how long does bread stay fresh", &options);
    let mut best: Vec<Hit> = Vec::new();
    let mut scored = 0;
    for (page, passages) in passages.chunks(PAGE).enumerate() {
        let ranking = ranker.rerank_query(&query, passages, &options)?;
        scored += ranking.hits.len();
        best.extend(ranking.hits.into_iter().map(|hit| Hit {
            index: page * PAGE + hit.index,
            ..hit
        }));
        best.sort_by(Hit::order);
        best.truncate(3);
        if !ranking.unscored.is_empty() {
            break;
        }
    }
    println!("scored {scored} of {} passages", passages.len());
    for hit in best {
        println!("{:.4}  {}", hit.score, passages[hit.index]);
    }
    Ok(())
}
