//! The tokenizer's public behaviour on good and bad input.

use std::path::Path;

use lanerank::format::storage::Blob;
use lanerank::tokenizer::{
    AddedToken, Tokenizer, TokenizerConfig, TokenizerError, TokenizerScratch, TokenizerSections,
};

const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

fn tokenizer(words: &[&str]) -> Tokenizer {
    let pieces: Vec<&str> = SPECIAL.iter().chain(words).copied().collect();
    Tokenizer::from_pieces(&pieces, &TokenizerConfig::bert_uncased()).unwrap()
}

fn bert() -> Tokenizer {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tokenizer/vocab.txt");
    let config = TokenizerConfig::bert_uncased();
    Tokenizer::from_vocab_txt(&std::fs::read(path).unwrap(), &config).unwrap()
}

fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    let mut ids = Vec::new();
    let mut scratch = TokenizerScratch::new();
    let count = tokenizer.tokenize_into(text, usize::MAX, &mut scratch, &mut ids);
    assert_eq!(count, ids.len());
    ids
}

#[test]
fn longest_piece_first() {
    let t = tokenizer(&["ab", "abc", "##c", "##cd", "##d", "a"]);
    assert_eq!(
        ids(&t, "abcd"),
        [t.id("abc").unwrap(), t.id("##d").unwrap()]
    );
    assert_eq!(ids(&t, "ABCDx"), [t.unk_id()]);
    assert_eq!(ids(&t, "ab,"), [t.id("ab").unwrap(), t.unk_id()]);
}

#[test]
fn every_piece_is_found_and_nothing_else() {
    let t = bert();
    assert_eq!(t.vocab_size(), 30522);
    for id in 0..30522 {
        let token = t.token(id).unwrap();
        assert_eq!(t.id(token), Some(id), "{token}");
        assert_eq!(t.id(&format!("{token}\u{1}")), None);
    }
    assert_eq!(t.token(30522), None);
    assert_eq!(t.id(""), None);
    let sections = t.sections();
    assert!(sections.lookup.len() <= 145_000 && sections.offsets.len() <= 62_000);
}

#[test]
fn vocabularies_made_to_collide_still_work() {
    let mut pieces: Vec<String> = SPECIAL.iter().map(ToString::to_string).collect();
    pieces.extend((1..=255).map(|n| "a".repeat(n)));
    pieces.extend((1..=200).map(|n| "\0".repeat(n)));
    pieces.extend((0..20_000).map(|n| format!("##aaaa{n:x}")));
    let t = Tokenizer::from_pieces(&pieces, &TokenizerConfig::bert_uncased()).unwrap();
    for (id, piece) in pieces.iter().enumerate() {
        assert_eq!(t.id(piece), Some(id as u32));
    }
    assert_eq!(ids(&t, &"a".repeat(100)).len(), 1);
    assert_eq!(t.id(&"a".repeat(256)), None);
    for n in [1, 2, 3] {
        assert_eq!(tokenizer(&["x", "y", "z"][..n]).id("x"), Some(5));
    }
}

#[test]
fn vocabulary_files_are_read_as_the_original_reads_them() {
    let text = b"[PAD]\r\n[UNK]  \n[CLS]\n[SEP]\n[MASK]\t\na\n\nb\xe3\x80\x80\na\nlast";
    let t = Tokenizer::from_vocab_txt(text, &TokenizerConfig::bert_uncased()).unwrap();
    assert_eq!(t.vocab_size(), 10);
    assert_eq!(
        (t.id("a"), t.id("b"), t.id("last")),
        (Some(8), Some(7), Some(9))
    );
    assert_eq!(t.token(6), Some(""));
    assert_eq!(ids(&t, "a"), [8]);
}

#[test]
fn what_cannot_be_used_is_refused_by_name() {
    let config = TokenizerConfig::bert_uncased();
    let refused = |pieces: &[&str], config: &TokenizerConfig| {
        Tokenizer::from_pieces(pieces, config)
            .unwrap_err()
            .to_string()
    };
    let all = |more: &str| -> Vec<String> {
        SPECIAL
            .iter()
            .map(ToString::to_string)
            .chain([more.to_owned()])
            .collect()
    };
    assert!(refused(&[], &config).contains("0 pieces"));
    assert!(refused(&["[UNK]"], &config).contains("\"[PAD]\""));
    let long = Tokenizer::from_pieces(&all(&"a".repeat(256)), &config).unwrap_err();
    assert_eq!(long, TokenizerError::PieceTooLong { id: 5, bytes: 256 });
    let error = Tokenizer::from_vocab_txt(b"a\nb\xff\n", &config).unwrap_err();
    assert_eq!(error, TokenizerError::NotUtf8 { line: 2 });

    let mut wrong = config.clone();
    wrong.max_input_chars_per_word = 4097;
    assert!(refused(&SPECIAL, &wrong).contains("4097"));
    wrong = config.clone();
    wrong.continuing_subword_prefix = "#".repeat(16);
    assert!(refused(&SPECIAL, &wrong).contains("prefix"));
    let with = |token: AddedToken| {
        let mut config = config.clone();
        config.added_tokens.push(token);
        refused(&SPECIAL, &config)
    };
    let token = AddedToken {
        id: Some(5),
        ..AddedToken::special("[X]")
    };
    assert!(
        with(AddedToken {
            content: "\u{300}".into(),
            normalized: true,
            ..token.clone()
        })
        .contains("no text is left")
    );
    assert!(
        with(AddedToken {
            id: None,
            ..token.clone()
        })
        .contains("\"[X]\"")
    );
    assert!(
        with(AddedToken {
            id: Some(11),
            ..token.clone()
        })
        .contains("gap")
    );
    assert!(
        with(AddedToken {
            content: "[CLS]".into(),
            ..token.clone()
        })
        .contains("twice")
    );
    assert!(
        with(AddedToken {
            content: String::new(),
            ..token
        })
        .contains("no bytes")
    );
}

#[test]
fn added_tokens_may_follow_the_vocabulary() {
    let mut config = TokenizerConfig::bert_uncased();
    config.added_tokens.push(AddedToken {
        id: Some(6),
        ..AddedToken::special("<new>")
    });
    let pieces: Vec<&str> = SPECIAL.into_iter().chain(["new"]).collect();
    let t = Tokenizer::from_pieces(&pieces, &config).unwrap();
    assert_eq!(
        (t.vocab_size(), t.id("<new>"), t.token(6)),
        (7, Some(6), Some("<new>"))
    );
    assert_eq!(ids(&t, "new<new>"), [5, 6]);
    assert_eq!(ids(&t.special_tokens_as_text(true), "<new>"), [1, 5, 1]);
}

#[test]
fn other_continuing_prefixes() {
    for prefix in ["", "a", "@@", "fifteen bytes!!"] {
        let mut config = TokenizerConfig::bert_uncased();
        config.continuing_subword_prefix = prefix.to_owned();
        let rest = format!("{prefix}b");
        let pieces: Vec<&str> = SPECIAL.into_iter().chain(["x", &rest]).collect();
        let t = Tokenizer::from_pieces(&pieces, &config).unwrap();
        assert_eq!(ids(&t, "xbbb"), [5, 6, 6, 6], "{prefix:?}");
    }
}

#[test]
fn short_lengths_keep_the_special_tokens() {
    let t = bert();
    for max_length in 0..3 {
        assert_eq!(t.encode("some text", max_length).ids, [101, 102]);
        assert_eq!(
            t.encode_pair("some", "text", max_length).ids,
            [101, 102, 102]
        );
    }
    assert_eq!(t.encode_pair("", "", 512).ids, [101, 102, 102]);
}

fn text_of(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tokenizer");
    std::fs::read_to_string(path.join(name)).unwrap()
}

#[test]
fn words_known_to_the_scratch_are_those_of_its_tokenizer() {
    let vocab = text_of("multilingual.txt");
    let open = |config| Tokenizer::from_vocab_txt(vocab.as_bytes(), &config).unwrap();
    let tokenizers = [
        open(TokenizerConfig::bert_uncased()),
        open(TokenizerConfig::bert_cased()),
        open(TokenizerConfig {
            max_input_chars_per_word: 5,
            ..TokenizerConfig::bert_uncased()
        }),
    ];
    let text = text_of("udhr_multilingual.txt") + &text_of("udhr_english.txt");
    let scratch = &mut TokenizerScratch::new();
    // Many texts per tokenizer fill the scratch; few texts change the tokenizer often.
    for many in [400, 3] {
        for (i, line) in text.lines().take(1200).enumerate() {
            let tokenizer = &tokenizers[i / many % 3];
            let (mut warm, expected) = (Vec::new(), ids(tokenizer, line));
            assert_eq!(
                tokenizer.tokenize_into(line, usize::MAX, scratch, &mut warm),
                expected.len()
            );
            assert_eq!(warm, expected, "{line}");
        }
    }
}

#[test]
fn where_a_text_begins_changes_nothing() {
    let t = bert();
    let long = "z".repeat(70);
    let text = format!(
        "It's 5\u{b0}C, na\u{ef}ve\u{2009}\u{6f22}\u{5b57}--a\0b {long} \u{e9}\u{1}!? end."
    );
    let whole = ids(&t, &text);
    for shift in 0..130 {
        let shifted = format!("{}{text}", " ".repeat(shift));
        assert_eq!(ids(&t, &shifted), whole, "{shift}");
        assert_eq!(ids(&t, &(shifted + "\t\n ")), whole, "{shift}");
    }
    // The same words, each in its own text. Text after a NUL or \u{1} continues the word.
    let apart = text.split(' ').flat_map(|word| ids(&t, word));
    assert_eq!(apart.collect::<Vec<_>>(), whole);
    for end in (0..text.len()).filter(|&end| text.is_char_boundary(end)) {
        let (start, from) = (ids(&t, &text[..end]), text[..end].rfind(' ').unwrap_or(0));
        let mut expected = ids(&t, &text[..from]);
        expected.extend(ids(&t, &text[from..end]));
        assert_eq!(start, expected, "{end}");
    }
}

#[test]
fn long_and_strange_input() {
    let t = bert();
    let scratch = &mut TokenizerScratch::new();
    let text = "Naïve 漢字 words, \u{301}\u{323} and\0more. ".repeat(300_000);
    assert!(text.len() > 10_000_000);
    let one = ids(&t, "Naïve 漢字 words, \u{301}\u{323} and\0more. ");
    let mut some = Vec::new();
    assert_eq!(
        t.tokenize_into(&text, 100, scratch, &mut some),
        one.len() * 300_000
    );
    assert_eq!(some, one.repeat(100)[..100]);

    for word in [
        "a",
        "é",
        "한",
        "\u{302e}",
        "\u{301}",
        "\0",
        "\u{10ffff}",
        "[",
    ] {
        let many = ids(&t, &word.repeat(1_000_000)).len();
        assert!(many <= 1 || word == "[", "{word:?} gave {many}");
    }
}

fn parts(t: &Tokenizer) -> [Vec<u8>; 4] {
    let s = t.sections();
    [&s.config, &s.text, &s.offsets, &s.lookup].map(|blob| blob.to_vec())
}

/// Opens damaged sections; if that succeeds, everything must still be in bounds.
fn exercise(parts: &[Vec<u8>; 4]) -> bool {
    let [config, text, offsets, lookup] = parts.each_ref().map(|part| Blob::copy_from(part));
    let sections = TokenizerSections {
        config,
        text,
        offsets,
        lookup,
        unigram: None,
    };
    let Ok(t) = Tokenizer::from_sections(sections) else {
        return false;
    };
    let size = t.vocab_size() as u32;
    let encoding = t.encode_pair("unaffable İ가 [MASK]", "abcabc#zzz \u{302e}\u{334}", 64);
    assert!(encoding.ids.iter().all(|&id| id < size));
    assert!(
        (0..size + 2)
            .filter(|&id| t.token(id).is_some())
            .all(|id| id < size)
    );
    assert!(t.id("abc").is_none_or(|id| id < size));
    t.config();
    true
}

#[test]
fn damaged_sections_never_panic() {
    let t = tokenizer(&[
        "un", "##aff", "##able", "abc", "##a", "##abc", "i", "#", "z", "##z",
    ]);
    let good = parts(&t);
    assert!(exercise(&good));
    for section in 0..4 {
        for at in 0..good[section].len() {
            // Most of the lookup is masks that no text here uses.
            if section == 3 && (64..8192).contains(&at) && at % 61 != 0 {
                continue;
            }
            let mut cut = good.clone();
            cut[section].truncate(at);
            assert!(
                !exercise(&cut) || section == 1,
                "section {section} cut to {at}"
            );
            for damage in [0x01, 0x80, 0xFF] {
                let mut flipped = good.clone();
                flipped[section][at] ^= damage;
                exercise(&flipped);
            }
        }
        let mut longer = good.clone();
        longer[section].push(0);
        exercise(&longer);
    }
}
