//! Unigram through the public interface; `tools/convert/tests/xlm_roberta.rs` compares it with
//! `tokenizers`.

use std::collections::HashMap;

use lanerank::format::storage::Blob;
use lanerank::tokenizer::{
    AddedToken, Spaces, Tokenizer, TokenizerConfig, TokenizerError, TokenizerKind,
    TokenizerScratch, TokenizerSections, UnigramRules, UnigramSections,
};
use lanerank_testing::random::Random;

const SPECIAL: [&str; 5] = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"];
const UNK: u32 = 3;

/// A Unigram of the special tokens and these pieces.
fn unigram(pieces: &[(&str, f64)], rules: UnigramRules) -> Tokenizer {
    let texts = SPECIAL.iter().chain(pieces.iter().map(|(text, _)| text));
    let texts: Vec<&str> = texts.copied().collect();
    let scores: Vec<f64> = (0..5)
        .map(|_| 0.0)
        .chain(pieces.iter().map(|p| p.1))
        .collect();
    let config = TokenizerConfig {
        kind: TokenizerKind::Unigram(rules),
        ..TokenizerConfig::xlm_roberta()
    };
    Tokenizer::from_unigram(&texts, &scores, &[], &config).unwrap()
}

const SPLIT: UnigramRules = UnigramRules {
    split_whitespace: true,
    strip_left: false,
    strip_right: false,
    spaces: Spaces::Kept,
};

fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    let mut ids = Vec::new();
    let mut scratch = TokenizerScratch::new();
    let count = tokenizer.tokenize_into(text, usize::MAX, &mut scratch, &mut ids);
    assert_eq!(count, ids.len());
    assert_eq!(tokenizer.count(text, &mut scratch), count);
    ids
}

fn tokens<'a>(tokenizer: &'a Tokenizer, text: &str) -> Vec<&'a str> {
    let ids = ids(tokenizer, text).into_iter();
    ids.map(|id| tokenizer.token(id).unwrap()).collect()
}

#[test]
fn the_best_path_has_the_highest_score() {
    let pieces = [
        ("\u{2581}", -1.0),
        ("a", 0.0),
        ("b", 0.0),
        ("c", 0.0),
        ("d", 0.0),
        ("cd", 1.0),
        ("ab", 2.0),
        ("abc", 5.0),
        ("abcd", 10.0),
    ];
    let t = unigram(&pieces, SPLIT);
    let mark = "\u{2581}";
    assert_eq!(tokens(&t, "abcdacdxx"), [mark, "abcd", "a", "cd", "<unk>"]);
    assert_eq!(
        tokens(&t, "x<unk>y"),
        [mark, "<unk>", "<unk>", mark, "<unk>"]
    );
    let as_text = t.clone().special_tokens_as_text(true);
    assert_eq!(tokens(&as_text, "x<unk>y a"), [mark, "<unk>", mark, "a"]);
    assert_eq!(tokens(&t, "a  <mask> b"), [mark, "a", "<mask>", mark, "b"]);
    assert_eq!(
        tokens(&t, "\u{2581}\u{2581}a \u{2581}"),
        [mark, mark, "a", mark]
    );
    assert_eq!(t.id("abc"), Some(12));
    assert_eq!(t.check(), Ok(()));
    assert_eq!(t.encode_pair("a", "b", 64).type_ids, [0; 8]);
}

#[test]
fn spaces_follow_the_rules() {
    let pieces = [("\u{2581}", -1.0), ("a", -1.0), ("\u{2581}a", -1.5)];
    let of = |rules, text| ids(&unigram(&pieces, rules), text);
    let (mark, word) = (5, 7);
    let kept = UnigramRules::default();
    let text = " a  a \t";
    assert_eq!(of(SPLIT, text), [word, word]);
    assert_eq!(of(kept, text), [word, mark, word, mark, UNK]);
    let one = UnigramRules {
        spaces: Spaces::One,
        strip_right: true,
        ..kept
    };
    assert_eq!(of(one, "  a   a  "), [word, word]);
    assert!(of(one, "   ").is_empty());
    let marks = UnigramRules {
        spaces: Spaces::Mark,
        strip_left: true,
        ..kept
    };
    assert_eq!(of(marks, "  a   a  "), [word, word, mark]);
    assert!(of(kept, "").is_empty());
}

/// The algorithm as `tokenizers` states it, on the whole word at once.
fn reference(word: &str, scores: &HashMap<&str, (u32, f64)>, unknown: f64) -> Vec<u32> {
    let word = format!("\u{2581}{word}");
    let mut best: Vec<Option<(f64, usize, u32)>> = vec![None; word.len() + 1];
    let longest = scores.keys().map(|piece| piece.len()).max().unwrap();
    for (start, c) in word.char_indices() {
        let before = if start == 0 {
            0.0
        } else {
            best[start].unwrap().0
        };
        let mut single = false;
        let mut propose = |end: usize, score: f64, id: u32| {
            let total = score + before;
            if best[end].is_none_or(|(known, ..)| total > known) {
                best[end] = Some((total, start, id));
            }
        };
        for end in start + 1..=word.len().min(start + longest) {
            if let Some((id, score)) = word.get(start..end).and_then(|piece| scores.get(piece)) {
                propose(end, *score, *id);
                single |= end - start == c.len_utf8();
            }
        }
        if !single {
            propose(start + c.len_utf8(), unknown, UNK);
        }
    }
    let (mut at, mut ids) = (word.len(), Vec::new());
    while at > 0 {
        let (_, start, id) = best[at].unwrap();
        if id != UNK || ids.last() != Some(&UNK) {
            ids.push(id);
        }
        at = start;
    }
    ids.reverse();
    ids
}

#[test]
fn long_words_have_the_ids_of_one_search() {
    let mut random = Random::new(5);
    for round in 0..30 {
        let mut pieces: Vec<String> = vec!["\u{2581}".into()];
        for _ in 0..4 + round {
            let len = 1 + random.below(6);
            let letter = |_| ["a", "b", "\u{e9}"][random.below(3)];
            pieces.push((0..len).map(letter).collect());
        }
        pieces.sort();
        pieces.dedup();
        let scored: Vec<(&str, f64)> = pieces
            .iter()
            .map(|piece| (piece.as_str(), -((random.below(40) + 1) as f64) / 8.0))
            .collect();
        let known: HashMap<&str, (u32, f64)> = scored
            .iter()
            .zip(5..)
            .map(|(&(piece, score), id)| (piece, (id, score)))
            .collect();
        let least = scored.iter().map(|p| p.1).fold(0.0, f64::min);
        let t = unigram(&scored, SPLIT);
        for len in [1, 9, 40, 5000, 20_000] {
            // Runs of one letter have no place where all paths meet, unknown letters have many.
            let alphabet = 1 + random.below(4);
            let letter = |_| ["a", "b", "\u{e9}", "z"][random.below(alphabet)];
            let word: String = (0..len).map(letter).collect();
            assert_eq!(
                ids(&t, &word),
                reference(&word, &known, least - 10.0),
                "{word:.99}"
            );
        }
    }
}

/// A word of ten megabytes takes a time that a test can wait for.
#[test]
fn time_is_linear() {
    let piece = "a".repeat(40);
    let t = unigram(&[("\u{2581}", -1.0), ("a", -9.0), (&piece, -2.0)], SPLIT);
    let word = "a".repeat(10_000_000);
    assert_eq!(t.count(&word, &mut TokenizerScratch::new()), 1 + 250_000);
    let unknown = "z".repeat(10_000_000);
    assert_eq!(t.count(&unknown, &mut TokenizerScratch::new()), 2);
}

#[test]
fn what_cannot_be_is_refused() {
    let config = TokenizerConfig::xlm_roberta();
    let build = |scores: &[f64], charsmap: &[u8], config: &TokenizerConfig| {
        Tokenizer::from_unigram(&SPECIAL, scores, charsmap, config).unwrap_err()
    };
    let section = |error, name: &str| match error {
        TokenizerError::Section { section, .. } => assert_eq!(section, name),
        other => panic!("{other}"),
    };
    section(build(&[0.0; 4], &[], &config), "tokenizer.scores");
    let infinite = [0.0, 0.0, f64::INFINITY, 0.0, 0.0];
    section(build(&infinite, &[], &config), "tokenizer.scores");
    section(build(&[0.0; 5], &[1], &config), "tokenizer.charsmap");
    let word_piece = TokenizerConfig {
        kind: TokenizerKind::WordPiece,
        ..config.clone()
    };
    section(build(&[0.0; 5], &[], &word_piece), "tokenizer.scores");
    let lowercase = TokenizerConfig {
        lowercase: true,
        ..config.clone()
    };
    section(build(&[0.0; 5], &[], &lowercase), "tokenizer.config");
    let missing = Tokenizer::from_pieces(&SPECIAL, &config).unwrap_err();
    section(missing, "tokenizer.scores");
    let mut blank = config.clone();
    blank.kind = TokenizerKind::Unigram(UnigramRules {
        strip_left: true,
        ..SPLIT
    });
    blank.added_tokens.push(AddedToken {
        id: Some(5),
        normalized: true,
        ..AddedToken::special(" ")
    });
    let error = build(&[0.0; 5], &[], &blank);
    assert!(error.to_string().contains("no text is left"), "{error}");
}

/// A normaliser that makes 128 bytes of an `x`, in the units of Darts-clone.
fn swelling() -> Vec<u8> {
    let mut units = [0u32; 512];
    let child = 256 ^ usize::from(b'x');
    units[0] = 256 << 10;
    units[child] = ((child ^ 1) as u32) << 10 | 1 << 8 | u32::from(b'x');
    units[1] = 1 << 31;
    let mut bytes = 2048u32.to_le_bytes().to_vec();
    bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
    bytes.extend([b'y'; 128]);
    bytes.push(0);
    bytes
}

/// 4096 tokens of 1024 bytes would take half a gigabyte.
#[test]
fn added_tokens_do_not_swell() {
    let build = |count: usize| {
        let mut config = TokenizerConfig::xlm_roberta();
        config.added_tokens.push(AddedToken {
            id: Some(5),
            normalized: true,
            ..AddedToken::special(&"x".repeat(count))
        });
        Tokenizer::from_unigram(&SPECIAL, &[0.0; 5], &swelling(), &config)
    };
    let longest = build(32).unwrap();
    assert_eq!(ids(&longest, &"y".repeat(4096)), [5]);
    assert_eq!(ids(&longest, &"x".repeat(32)), [5]);
    let error = build(33).unwrap_err().to_string();
    assert!(error.contains("more than 4096 bytes"), "{error}");
}

/// Sections of a file: they open as written, and damage gives wrong ids at most.
#[test]
fn sections_may_hold_anything() {
    let pieces = [
        ("\u{2581}", -1.0),
        ("ab", -1.5),
        ("a", -2.0),
        ("\u{e9}", -3.0),
    ];
    let sound = unigram(&pieces, SPLIT);
    let s = sound.sections().clone();
    let own = s.unigram.clone().unwrap();
    let parts = [
        s.config,
        s.text,
        s.offsets,
        s.lookup,
        own.scores,
        own.trie,
        own.charsmap,
    ];
    let open = |parts: &[Vec<u8>]| {
        let blob = |i: usize| Blob::copy_from(&parts[i]);
        Tokenizer::from_sections(TokenizerSections {
            config: blob(0),
            text: blob(1),
            offsets: blob(2),
            lookup: blob(3),
            unigram: Some(UnigramSections {
                scores: blob(4),
                trie: blob(5),
                charsmap: blob(6),
            }),
        })
    };
    let parts = parts.map(|part| part.to_vec());
    let text = "ab \u{e9}ab <mask>zz\u{2581}a";
    let opened = open(&parts).unwrap();
    assert_eq!(opened.config(), sound.config());
    assert_eq!(ids(&opened, text), ids(&sound, text));
    let mut accepted = 0;
    let mut random = Random::new(9);
    for _ in 0..20_000 {
        let mut damaged = parts.clone();
        let part = random.below(6);
        let at = random.below(damaged[part].len());
        damaged[part][at] = random.below(256) as u8;
        let Ok(t) = open(&damaged) else { continue };
        accepted += 1;
        let size = t.vocab_size() as u32;
        let _ = (t.check(), t.token(random.below(20) as u32));
        let mut found = Vec::new();
        t.tokenize_into(text, 1000, &mut TokenizerScratch::new(), &mut found);
        assert!(found.iter().all(|&id| id < size));
    }
    assert!(accepted > 1000, "{accepted}");
    for part in 0..6 {
        let mut cut = parts.clone();
        cut[part].pop();
        // A shorter text is seen when a piece is missed.
        assert!(part == 1 || open(&cut).is_err(), "{part}");
    }
}
