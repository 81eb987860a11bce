//! Damaged and hostile model files: each must be refused with a message, or open and work.

use std::panic::{AssertUnwindSafe, catch_unwind};

use lanerank::format::checksum::xxh64;
use lanerank::format::directory::{ENTRY_LEN, section_len};
use lanerank::format::header::HEADER_LEN;
use lanerank::format::storage::Blob;
use lanerank::format::write::write_file;
use lanerank::kernels::{Isa, Kernels};
use lanerank::model::{ModelConfig, Pooling};
use lanerank::{Error, Model, Ranker, Verify};
use lanerank_convert::convert::{ConvertOptions, WeightDtype, convert};
use lanerank_testing::models::{classifier, encoder, file, source, tokenizer};
use lanerank_testing::random::Random;

fn small() -> Vec<u8> {
    file(&classifier(1), WeightDtype::Int8, 7)
}

/// Recomputes the checksums of directory and header, so that errors elsewhere are reached.
fn reseal(file: &mut [u8]) {
    let count = u32::from_le_bytes(file[12..16].try_into().unwrap()) as usize;
    if let Some(directory) = file.get(HEADER_LEN..HEADER_LEN.saturating_add(count * ENTRY_LEN)) {
        let sum = xxh64(directory).to_le_bytes();
        file[24..32].copy_from_slice(&sum);
    }
    reseal_header(file);
}

fn reseal_header(file: &mut [u8]) {
    let sum = xxh64(&file[..56]).to_le_bytes();
    file[56..64].copy_from_slice(&sum);
}

/// Recomputes all checksums.
fn reseal_all(file: &mut [u8]) {
    let model_end = file.len();
    let count = u32::from_le_bytes(file[12..16].try_into().unwrap()) as usize;
    for i in 0..count {
        let entry = HEADER_LEN + i * ENTRY_LEN;
        let word = |file: &[u8], at: usize| {
            u64::from_le_bytes(file[entry + at..entry + at + 8].try_into().unwrap()) as usize
        };
        let (offset, len) = (word(file, 96), word(file, 104));
        if offset.saturating_add(len) <= model_end {
            let sum = xxh64(&file[offset..offset + len]).to_le_bytes();
            file[entry + 112..entry + 120].copy_from_slice(&sum);
        }
    }
    reseal(file);
}

/// Opens with and without checksums and uses everything. Returns the first error.
fn exercise(file: &[u8]) -> Option<String> {
    let attempt = catch_unwind(AssertUnwindSafe(|| {
        let mut error = None;
        for opened in [
            Model::from_bytes(file),
            Model::from_blob(Blob::copy_from(file), Verify::Structure),
        ] {
            match opened {
                Err(e) => error = error.or(Some(e.to_string())),
                Ok(model) => {
                    let kernels = Kernels::best();
                    if let Err(e) = model.check(kernels) {
                        error = error.or(Some(e.to_string()));
                    }
                    let ranker = Ranker::builder().opened(model).threads(1).build().unwrap();
                    match ranker.rerank("keep the bread fresh [SEP]", &["", "the lamp was é"]) {
                        Ok(hits) => assert!(hits.iter().all(|h| !h.score.is_nan())),
                        Err(Error::NotANumber { .. }) => {}
                        Err(e) => panic!("{e}"),
                    }
                }
            }
        }
        error
    }));
    attempt.unwrap_or_else(|_| panic!("a damaged file made the library panic"))
}

fn must_be_refused(file: &[u8], words: &str) {
    let error = exercise(file).unwrap_or_else(|| panic!("accepted; {words:?} was expected"));
    assert!(error.contains(words), "{error:?} does not say {words:?}");
}

/// Offset of a section's directory entry.
fn entry(file: &[u8], name: &str) -> usize {
    let model = Model::from_bytes(file).unwrap();
    let index = model.sections().iter().position(|s| s.name == name);
    HEADER_LEN + ENTRY_LEN * index.unwrap_or_else(|| panic!("no section {name}"))
}

fn section(file: &[u8], name: &str) -> std::ops::Range<usize> {
    let model = Model::from_bytes(file).unwrap();
    let found = model.sections().iter().find(|s| s.name == name).unwrap();
    found.offset..found.offset + found.len
}

#[test]
fn a_whole_file_is_in_order() {
    let deep = ModelConfig {
        num_hidden_layers: 5,
        ..classifier(1)
    };
    for config in [classifier(1), classifier(2), encoder(Pooling::Cls), deep] {
        for dtype in [WeightDtype::Int8, WeightDtype::F16, WeightDtype::F32] {
            let bytes = file(&config, dtype, 1);
            assert_eq!(exercise(&bytes), None);
            let model = Model::from_bytes(&bytes).unwrap();
            assert_eq!(model.config(), &config);
            assert_eq!(model.metadata(), [("source".into(), "seed 1".into())]);
            for section in model.sections() {
                let len = section_len(section.dtype, section.layout, &section.shape);
                assert_eq!(len, Some(section.len));
            }
            let report = model
                .check(Kernels::for_isa(Isa::Reference).unwrap())
                .unwrap();
            assert_eq!(report.max_difference, 0.0);
        }
    }
}

#[test]
fn conversion_is_deterministic() {
    assert_eq!(small(), small());
    assert_ne!(small(), file(&classifier(1), WeightDtype::Int8, 8));
}

#[test]
fn truncated_files_are_refused() {
    let whole = small();
    for len in (0..whole.len())
        .step_by(64)
        .chain([1, 63, 65, whole.len() - 1])
    {
        assert!(exercise(&whole[..len]).is_some(), "{len} bytes");
        let mut patched = whole[..len].to_vec();
        if len >= HEADER_LEN {
            patched[16..24].copy_from_slice(&(len as u64).to_le_bytes());
            reseal(&mut patched);
            assert!(exercise(&patched).is_some(), "{len} bytes, said so");
        }
    }
    let mut longer = whole.clone();
    longer.push(0);
    must_be_refused(&longer, "file_length");
    longer[16..24].copy_from_slice(&(whole.len() as u64 + 1).to_le_bytes());
    reseal(&mut longer);
    must_be_refused(&longer, "sections end at");
}

#[test]
fn every_header_field_is_checked() {
    let whole = small();
    must_be_refused(b"", "header");
    must_be_refused(&[b'x'; 100], "magic");
    let mut random = Random::new(1);
    for (at, len, words) in [
        (0, 8, "magic"),
        (8, 4, "version"),
        (12, 4, "section"),
        (16, 8, "file_length"),
        (24, 8, "directory"),
        (32, 24, "reserved"),
        (56, 8, "header"),
    ] {
        for fill in [Some(0u8), Some(0xff), None, None, None] {
            let mut bytes = whole.clone();
            for byte in &mut bytes[at..at + len] {
                *byte = fill.unwrap_or_else(|| random.next() as u8);
            }
            if bytes[at..at + len] == whole[at..at + len] {
                continue;
            }
            assert!(exercise(&bytes).is_some(), "byte {at}");
            if at != 56 {
                reseal_header(&mut bytes);
                let error = exercise(&bytes).unwrap();
                let count = at == 12 && error.contains("director");
                assert!(error.contains(words) || count, "byte {at}: {error}");
            }
        }
    }
}

#[test]
fn no_directory_byte_can_do_harm() {
    let whole = small();
    let count = Model::from_bytes(&whole).unwrap().sections().len();
    let mut random = Random::new(2);
    for at in HEADER_LEN..HEADER_LEN + count * ENTRY_LEN {
        for value in [0, 1, 0x7f, 0xff, whole[at] ^ 0x20, random.next() as u8] {
            if value == whole[at] {
                continue;
            }
            let mut bytes = whole.clone();
            bytes[at] = value;
            reseal(&mut bytes);
            assert!(exercise(&bytes).is_some(), "byte {at} = {value}");
        }
    }
}

#[test]
fn sections_may_not_overlap_repeat_or_leave_holes() {
    let whole = small();
    let word = entry(&whole, "embeddings.word.weight");
    let position = entry(&whole, "embeddings.position.weight");
    let edit = |work: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        work(&mut bytes);
        reseal(&mut bytes);
        bytes
    };
    let overlap = edit(&|b| b.copy_within(word + 96..word + 104, position + 96));
    must_be_refused(&overlap, "embeddings.position.weight: offset");
    let twice = edit(&|b| b.copy_within(word..word + 56, position));
    must_be_refused(&twice, "embeddings.word.weight occurs twice");
    let stranger = edit(&|b| b[word + 11] = b'x');
    must_be_refused(&stranger, "embeddings.word.weight: missing");
    let huge = edit(&|b| b[word + 64..word + 72].fill(0xff));
    must_be_refused(&huge, "embeddings.word.weight: shape");
    let beyond = edit(&|b| b[word + 102] = 0x10);
    must_be_refused(&beyond, "embeddings.word.weight: offset");
    let end = section(&whole, "config").end;
    let padding = (end..end.next_multiple_of(64)).next();
    let after = section(&whole, "self_test");
    let hole = padding.unwrap_or(after.end);
    let mut dirty = whole.clone();
    dirty[hole] = 1;
    must_be_refused(&dirty, "the padding before it is not zero");
}

#[test]
fn shapes_must_be_those_of_the_config() {
    let whole = small();
    let config = section(&whole, "config");
    for (index, value, words) in [
        (0, 1, "config.embedding_size"),
        (0, 2, "config.max_length"),
        (0, 3, "config.architecture"),
        (1, 96, "section"),
        (1, 0, "config.hidden_size"),
        (1, u32::MAX, "config.hidden_size"),
        (2, 3, "section layers"),
        (2, 0, "config.num_hidden_layers"),
        (2, 1 << 30, "config.num_hidden_layers"),
        (3, 5, "config.num_attention_heads"),
        (3, 0, "config.num_attention_heads"),
        (4, 81, "section layers.0.ffn"),
        (5, 7, "tokenizer"),
        (6, 41, "section embeddings.position"),
        (7, 1, "config.type_vocab_size"),
        (8, 3, "config.hidden_act"),
        (9, f32::NAN.to_bits(), "config.layer_norm_eps"),
        (9, (-1f32).to_bits(), "config.layer_norm_eps"),
        (10, 1, "config.num_labels"),
        (10, 7, "config.head"),
        (11, 2, "section classifier"),
        (11, 3, "config.num_labels"),
        (12, 1, "config.head"),
        (12, 2, "config.normalize"),
        (13, 0, "config.max_length"),
        (13, 2, "config.max_length"),
        (13, 41, "config.max_length"),
        (14, 16, "config.activations"),
        (14, u32::MAX, "config.activations"),
        (15, 1, "config.embedding_size"),
    ] {
        let mut bytes = whole.clone();
        let at = config.start + 4 * index;
        bytes[at..at + 4].copy_from_slice(&u32::to_le_bytes(value));
        reseal_all(&mut bytes);
        must_be_refused(&bytes, words);
    }
}

#[test]
fn damaged_content_does_no_harm() {
    let whole = small();
    let mut random = Random::new(3);
    let start = section(&whole, "config").start;
    for _ in 0..1000 {
        let mut bytes = whole.clone();
        for _ in 0..1 + random.below(4) {
            let at = start + random.below(whole.len() - start);
            bytes[at] = match random.below(3) {
                0 => 0xff,
                1 => 0,
                _ => random.next() as u8,
            };
        }
        if random.below(4) > 0 {
            reseal_all(&mut bytes);
        }
        // The byte decides whether it is refused; the test is that nothing panics.
        let _ = exercise(&bytes);
    }
}

#[test]
fn strings_of_bytes_are_checked() {
    for name in [
        "tokenizer.config",
        "tokenizer.lookup",
        "self_test",
        "metadata",
    ] {
        for fill in [0, 0x80, 0xff] {
            let mut bytes = small();
            let range = section(&bytes, name);
            bytes[range].fill(fill);
            reseal_all(&mut bytes);
            assert!(exercise(&bytes).is_some(), "{name} filled with {fill}");
        }
    }
}

#[test]
fn checksums_are_verified() {
    let whole = small();
    let mut bytes = whole.clone();
    let range = section(&whole, "layers.0.ffn.output.weight");
    bytes[range.start + 5] ^= 1;
    must_be_refused(&bytes, "section layers.0.ffn.output.weight: checksum");
    let unverified = Model::from_blob(Blob::copy_from(&bytes), Verify::Structure).unwrap();
    assert!(unverified.check(Kernels::best()).is_err());
}

#[test]
fn a_vocabulary_that_lost_a_piece_is_found() {
    let whole = small();
    let lookup = section(&whole, "tokenizer.lookup");
    // The slots end the section, three bytes each, followed by one spare byte.
    for slot in (lookup.end - 61..lookup.end - 1).step_by(3) {
        let mut bytes = whole.clone();
        if bytes[slot..slot + 3] == [0xff; 3] {
            continue;
        }
        bytes[slot] ^= 1;
        reseal_all(&mut bytes);
        let model = Model::from_bytes(&bytes).unwrap();
        let error = model.check(Kernels::best()).unwrap_err().to_string();
        assert!(error.contains("is not found"), "{error}");
    }
}

#[test]
fn a_wrong_self_test_is_found() {
    let mut bytes = small();
    let range = section(&bytes, "self_test");
    let last = range.end - 4;
    bytes[last..range.end].copy_from_slice(&9.5f32.to_le_bytes());
    reseal_all(&mut bytes);
    must_be_refused(&bytes, "self_test[2]: 9.5 is stored");
}

#[test]
fn an_infinite_self_test_is_refused_at_opening() {
    for logit in [f32::INFINITY, f32::NAN] {
        let mut bytes = small();
        let range = section(&bytes, "self_test");
        let last = range.end - 4;
        bytes[last..range.end].copy_from_slice(&logit.to_le_bytes());
        reseal_all(&mut bytes);
        let error = Model::from_bytes(&bytes).err().unwrap().to_string();
        assert!(
            error.contains("self_test[2]: the stored logit is"),
            "{error}"
        );
    }
}

#[test]
fn weights_that_are_no_numbers_are_refused() {
    for (name, section_name) in [
        (
            "embeddings.LayerNorm.weight",
            "embeddings.layer_norm.weight",
        ),
        (
            "encoder.layer.0.output.dense.bias",
            "layers.0.ffn.output.bias",
        ),
        ("classifier.weight", "classifier.weight"),
    ] {
        for value in [f32::NAN, f32::INFINITY] {
            let config = classifier(1);
            let mut source = source(&config, 1);
            source.poison = Some((name, value));
            let options = ConvertOptions::default();
            let error = convert(&config, &tokenizer(), &mut source, &options, &mut |_, _| {});
            let error = error.err().unwrap().to_string();
            assert!(
                error.contains(name) && error.contains("value 0 is"),
                "{error}"
            );
            let mut bytes = small();
            let at = section(&bytes, section_name).start;
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
            reseal_all(&mut bytes);
            must_be_refused(&bytes, "holds NaN or infinity");
        }
    }
}

#[test]
fn sources_must_have_every_tensor_in_its_shape() {
    let config = classifier(1);
    for name in source(&config, 1)
        .shapes
        .iter()
        .map(|(name, _)| name.clone())
    {
        let run = |edit: &dyn Fn(&mut String, &mut Vec<usize>)| {
            let mut source = source(&config, 1);
            let mut shapes = source.shapes.iter_mut();
            let (name, shape) = shapes.find(|(n, _)| *n == name).unwrap();
            edit(name, shape);
            let options = ConvertOptions::default();
            let result = convert(&config, &tokenizer(), &mut source, &options, &mut |_, _| {});
            result.err().unwrap().to_string()
        };
        let missing = run(&|name, _| name.push('?'));
        assert_eq!(missing, format!("tensor {name}: missing from the source"));
        let wrong = run(&|_, shape| shape[0] += 1);
        assert!(
            wrong.contains(&name) && wrong.contains("has shape"),
            "{wrong}"
        );
    }
}

#[test]
fn files_are_placed_whole_or_not_at_all() {
    let folder = std::env::temp_dir().join(format!("lanerank-format-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("m.lane");
    let bytes = small();
    write_file(&path, b"old").unwrap();
    write_file(&path, &bytes).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    let opened = Model::open(&path).unwrap();
    assert_eq!(opened.file_len(), bytes.len());
    let error = write_file(&folder.join("missing/m.lane"), &bytes).unwrap_err();
    assert!(matches!(error, Error::Io { .. }));
    let blocked = folder.join("folder.lane");
    std::fs::create_dir(&blocked).unwrap();
    assert!(write_file(&blocked, &bytes).is_err());
    assert_eq!(
        std::fs::read_dir(&folder).unwrap().count(),
        2,
        "temporary file left"
    );
    std::fs::remove_dir_all(&folder).unwrap();
}
