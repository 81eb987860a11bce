//! Any two texts at any length, with intact and damaged tokenizers.

#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use lanerank::format::storage::Blob;
use lanerank::tokenizer::{
    Spaces, Tokenizer, TokenizerConfig, TokenizerKind, TokenizerSections, UnigramRules,
    UnigramSections,
};
use libfuzzer_sys::fuzz_target;

const VOCAB: &[u8] = b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n\
    a\nb\nc\nab\nabc\n##a\n##b\n##c\n##bc\n##abcabcabc\n\
    A\nBank\nbank\n##ing\nriver\n.\n,\n'\n-\n0\n1\n##2\n\
    \xe6\x97\xa5\n\xc3\xa9\ne\n##e\ncafe\ncaf\xc3\xa9\n\xf0\x9f\x98\x80\n";

static TOKENIZERS: LazyLock<[Tokenizer; 2]> = LazyLock::new(|| {
    [
        TokenizerConfig::bert_uncased(),
        TokenizerConfig::bert_cased(),
    ]
    .map(|config| Tokenizer::from_vocab_txt(VOCAB, &config).expect("a sound vocabulary"))
});

/// The golden's pieces are too many for a target; these reach every step.
const PIECES: [&str; 16] = [
    "<s>",
    "<pad>",
    "</s>",
    "<unk>",
    "<mask>",
    "\u{2581}",
    "\u{2581}a",
    "a",
    "b",
    "ab",
    "ba",
    "aba",
    "\u{65e5}",
    "\u{e9}",
    "\u{2581}\u{e9}b",
    "<a",
];

/// A Unigram with the rules of these bits and this normaliser.
fn unigram(rules: u8, charsmap: &[u8]) -> Option<Tokenizer> {
    let bit = |i: u8| rules >> i & 1 != 0;
    let config = TokenizerConfig {
        kind: TokenizerKind::Unigram(UnigramRules {
            split_whitespace: bit(0),
            strip_left: bit(1),
            strip_right: bit(2),
            spaces: [Spaces::Kept, Spaces::One, Spaces::Mark][usize::from(rules >> 3) % 3],
        }),
        ..TokenizerConfig::xlm_roberta()
    };
    let scores: Vec<f64> = (0..PIECES.len()).map(|i| -(i as f64 * 7.0 % 5.0)).collect();
    Tokenizer::from_unigram(&PIECES, &scores, charsmap, &config).ok()
}

/// Bytes to write into a section: offset and content.
#[derive(Debug, Arbitrary)]
struct Damage<'a> {
    section: u8,
    at: u16,
    bytes: &'a [u8],
    cut: bool,
}

#[derive(Debug, Arbitrary)]
enum Rules<'a> {
    Uncased,
    Cased,
    /// An intact tokenizer's sections, with bytes changed or truncated.
    Damaged(Vec<Damage<'a>>),
    /// Sections of any bytes.
    Any([&'a [u8]; 4]),
    /// An intact Unigram with any rules and normaliser.
    Unigram(u8, &'a [u8]),
    /// A Unigram's record, scores, trie and normaliser of any bytes, the rest intact.
    AnyUnigram([&'a [u8]; 4]),
}

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    rules: Rules<'a>,
    max_length: u16,
    a: &'a str,
    b: &'a str,
    special_as_text: bool,
}

fn damaged(damages: &[Damage]) -> TokenizerSections {
    let sound = TOKENIZERS[0].sections();
    let mut sections =
        [&sound.config, &sound.text, &sound.offsets, &sound.lookup].map(|s| s.to_vec());
    for damage in damages {
        let section = &mut sections[usize::from(damage.section) % 4];
        let at = usize::from(damage.at) % (section.len() + 1);
        let len = damage.bytes.len().min(section.len() - at);
        section[at..at + len].copy_from_slice(&damage.bytes[..len]);
        if damage.cut {
            section.truncate(at + len);
        }
    }
    from_bytes([&sections[0], &sections[1], &sections[2], &sections[3]])
}

fn from_bytes([config, text, offsets, lookup]: [&[u8]; 4]) -> TokenizerSections {
    TokenizerSections {
        config: Blob::copy_from(config),
        text: Blob::copy_from(text),
        offsets: Blob::copy_from(offsets),
        lookup: Blob::copy_from(lookup),
        unigram: None,
    }
}

fuzz_target!(|input: Input| {
    let tokenizer = match &input.rules {
        Rules::Uncased => TOKENIZERS[0].clone(),
        Rules::Cased => TOKENIZERS[1].clone(),
        Rules::Damaged(damages) => match Tokenizer::from_sections(damaged(damages)) {
            Ok(tokenizer) => tokenizer,
            Err(_) => return,
        },
        Rules::Unigram(rules, charsmap) => match unigram(*rules, charsmap) {
            Some(tokenizer) => tokenizer,
            None => return,
        },
        Rules::AnyUnigram([config, scores, trie, charsmap]) => {
            let mut sections = unigram(0, &[]).expect("a sound Unigram").sections().clone();
            sections.config = Blob::copy_from(config);
            sections.unigram = Some(UnigramSections {
                scores: Blob::copy_from(scores),
                trie: Blob::copy_from(trie),
                charsmap: Blob::copy_from(charsmap),
            });
            match Tokenizer::from_sections(sections) {
                Ok(tokenizer) => tokenizer,
                Err(_) => return,
            }
        }
        Rules::Any(sections) => match Tokenizer::from_sections(from_bytes(*sections)) {
            Ok(tokenizer) => tokenizer,
            Err(_) => return,
        },
    };
    let special = tokenizer.frame().pair_overhead();
    let tokenizer = tokenizer.special_tokens_as_text(input.special_as_text);
    let max_length = usize::from(input.max_length);
    let known = |ids: &[u32]| ids.iter().all(|&id| (id as usize) < tokenizer.vocab_size());

    let pair = tokenizer.encode_pair(input.a, input.b, max_length);
    assert!(known(&pair.ids));
    assert!((special..=max_length.max(special)).contains(&pair.ids.len()));
    assert_eq!(pair.ids.len(), pair.type_ids.len());
    assert!(pair.type_ids.is_sorted() && pair.type_ids.iter().all(|&t| t <= 1));

    let single = tokenizer.encode(input.a, max_length);
    assert!(known(&single.ids));
    assert!((2..=max_length.max(2)).contains(&single.ids.len()));
    // Truncated tokens are counted: with enough room, nothing is truncated.
    let cut = single.truncation.query_tokens;
    let whole = tokenizer.encode(input.a, usize::MAX);
    assert_eq!(whole.ids.len(), single.ids.len() + cut);
    assert!(whole.truncation.query_tokens == 0);
    for &id in &whole.ids {
        let _ = tokenizer.token(id);
    }
});
