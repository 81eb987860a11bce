//! Ranks passages with the default model: `cargo run --release --example rank`.

use lanerank::Ranker;

fn main() -> Result<(), lanerank::Error> {
    let ranker = Ranker::new()?;
    let passages = [
        "The lighthouse was built in 1847.",
        "How to bake bread in a cast iron pot",
        "The refrigerator dries bread out; a paper bag in a box keeps it longest.",
    ];
    for hit in ranker.rerank("how do I keep bread fresh", &passages)? {
        println!("{:.4}  {}", hit.score, passages[hit.index]);
    }
    Ok(())
}
