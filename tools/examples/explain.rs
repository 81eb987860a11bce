//! Says which words a score depends on: `cargo run --release --example explain`.

use lanerank::{Ranker, RerankOptions};

fn main() -> Result<(), lanerank::Error> {
    let ranker = Ranker::new()?;
    let passage = "The refrigerator dries bread out; a paper bag keeps it longest.";
    let options = RerankOptions::default();
    let explained = ranker.explain("how do I keep bread fresh", passage, &options)?;
    println!("logit {:+.3}, without a word less:", explained.logit);
    for span in explained.spans {
        if let Some(effect) = span.effect {
            println!("{effect:+.3}  {}", &passage[span.range]);
        }
    }
    Ok(())
}
