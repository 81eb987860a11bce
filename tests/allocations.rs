//! Memory: opening a file has a bounded peak, even for hostile files, and a warm ranker on one
//! thread allocates nothing.
//!
//! A separate process whose tests run one at a time, because the allocator counts for all threads.

use lanerank::format::checksum::xxh64;
use lanerank::format::directory::ENTRY_LEN;
use lanerank::format::header::HEADER_LEN;
use lanerank::format::storage::Blob;
use lanerank::{Model, Ranker, Verify};
use lanerank_convert::convert::WeightDtype;
use lanerank_testing::memory::{Counting, allocations, alone, peak_of};
use lanerank_testing::models::{classifier, file, model, passages};
use lanerank_testing::random::Random;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Peak allocation of opening these bytes in place, and whether it succeeded.
fn peak_of_opening(bytes: &[u8]) -> (usize, bool) {
    let blob = Blob::copy_from(bytes);
    peak_of(|| Model::from_blob(blob, Verify::Structure).is_ok())
}

/// Opening builds tables of names and offsets, never of weights or vocabulary.
#[cfg(feature = "embedded-model")]
#[test]
fn the_embedded_model_is_used_where_it_lies() {
    let _alone = alone();
    let (peak, model) = peak_of(|| Model::embedded().unwrap());
    assert!(model.file_len() > 4_000_000);
    assert!(peak < 64 << 10, "{peak}");
}

#[test]
fn opening_never_allocates_more_than_the_file_is_long() {
    let _alone = alone();
    let whole = file(&classifier(1), WeightDtype::Int8, 7);
    let (peak, opened) = peak_of_opening(&whole);
    assert!(opened);
    assert!(peak < whole.len(), "{peak} of {}", whole.len());
    let count = u32::from_le_bytes(whole[12..16].try_into().unwrap()) as usize;
    let directory = HEADER_LEN..HEADER_LEN + count * ENTRY_LEN;
    let mut random = Random::new(1);
    for round in 0..20_000 {
        let mut bytes = whole.clone();
        for _ in 0..1 + random.below(3) {
            // The header's count and length, the directory, and the sections with counts.
            let at = match random.below(3) {
                0 => 12 + random.below(12),
                1 => directory.start + random.below(directory.len()),
                _ => directory.end + random.below(4096.min(whole.len() - directory.end)),
            };
            bytes[at] = [0, 0x7f, 0xff, random.next() as u8][random.below(4)];
        }
        let sum = xxh64(&bytes[directory.clone()]).to_le_bytes();
        bytes[24..32].copy_from_slice(&sum);
        let sum = xxh64(&bytes[..56]).to_le_bytes();
        bytes[56..64].copy_from_slice(&sum);
        let (peak, _) = peak_of_opening(&bytes);
        assert!(
            peak < whole.len(),
            "round {round}: {peak} of {}",
            whole.len()
        );
    }
}

#[test]
fn a_warm_ranker_on_one_thread_allocates_nothing() {
    let _alone = alone();
    for dtype in [WeightDtype::Int8, WeightDtype::F16, WeightDtype::F32] {
        let ranker = Ranker::builder()
            .opened(model(&classifier(1), dtype))
            .threads(1)
            .build()
            .unwrap();
        let texts = passages(50, 1);
        let mut scores = vec![0.0; texts.len()];
        let mut run = |query: &str| {
            let before = allocations();
            ranker.scores_into(query, &texts, &mut scores).unwrap();
            allocations() - before
        };
        let queries = [
            "how do i keep the bread fresh in a paper box?",
            "bread",
            "",
            "the lamp was on the house",
        ];
        // Each query forms other batches; buffers grow to the largest.
        let warming_up: usize = queries.map(&mut run).iter().sum();
        assert!(warming_up > 0, "nothing was counted");
        assert_eq!(queries.map(run), [0; 4], "{dtype}");
    }
}
