//! Ranks with a model file of your own, which `lanerank convert` makes:
//! `cargo run --release --example custom_model -- model.lane`.

use lanerank::Ranker;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args()
        .nth(1)
        .ok_or("give the path of a model file")?;
    let ranker = Ranker::builder()
        .model(path)
        .max_length(128) // query and passage together, in tokens
        .threads(2)
        .build()?;
    let config = ranker.model().config();
    println!(
        "{} layers of {}",
        config.num_hidden_layers, config.hidden_size
    );

    let passages = [
        "The lamp is lit at dusk.",
        "Bread dries out in the refrigerator.",
    ];
    for hit in ranker.rerank("how to keep bread fresh", &passages)? {
        let cut = hit.truncation.passage_tokens;
        println!(
            "{:.4}  {} ({cut} tokens cut)",
            hit.score, passages[hit.index]
        );
    }
    Ok(())
}
