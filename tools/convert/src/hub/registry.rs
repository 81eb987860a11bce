//! The registered models: FlashRank's names and two of XLM-RoBERTa, and their repositories.
//!
//! Each entry names the repository of the model's author, not a re-upload. The figures are from the
//! models' pages on the hub (`cross-encoder/ms-marco-*`, table "Performance"): nDCG@10 on TREC Deep
//! Learning 2019 and MRR@10 on the MS MARCO development set, for the f32 originals. Digests and
//! commits are given only where they were seen in public. `None` means: checked against the hub's
//! own listing.

/// A file with known content.
#[derive(Debug, PartialEq, Eq)]
pub struct KnownFile {
    /// Its path in the repository.
    pub path: &'static str,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// SHA-256 of its content, in lower-case hexadecimal digits.
    pub sha256: Option<&'static str>,
}

/// Published figures of the f32 original, in percent.
#[derive(Debug, PartialEq)]
pub struct Quality {
    /// nDCG@10 on TREC Deep Learning 2019.
    pub trec_dl19_ndcg_at_10: f32,
    /// MRR@10 on the development set of MS MARCO passage ranking.
    pub ms_marco_dev_mrr_at_10: f32,
}

/// A registered model.
#[derive(Debug, PartialEq)]
pub struct Registered {
    /// The model's id.
    pub id: &'static str,
    /// `org/name` on the hub.
    pub repository: &'static str,
    /// The repository's former name. The hub redirects it, and old caches use it.
    pub former_repository: Option<&'static str>,
    /// The commit, or `main` if none is pinned.
    pub revision: &'static str,
    /// Files with known content, the weights first.
    pub files: &'static [KnownFile],
    /// SPDX name of the weights' licence.
    pub license: &'static str,
    /// Languages, for display.
    pub languages: &'static str,
    /// Published figures, where there are any.
    pub quality: Option<Quality>,
}

// The figures are floats that compare equal to themselves.
impl Eq for Registered {}

const fn weights(path: &'static str, sha256: Option<&'static str>) -> KnownFile {
    KnownFile {
        path,
        size: None,
        sha256,
    }
}

const fn quality(ndcg: f32, mrr: f32) -> Option<Quality> {
    Some(Quality {
        trec_dl19_ndcg_at_10: ndcg,
        ms_marco_dev_mrr_at_10: mrr,
    })
}

/// Every registered model, the smallest first.
pub static MODELS: [Registered; 9] = [
    Registered {
        id: "ms-marco-TinyBERT-L-2-v2",
        repository: "cross-encoder/ms-marco-TinyBERT-L2-v2",
        former_repository: Some("cross-encoder/ms-marco-TinyBERT-L-2-v2"),
        revision: "81d1926f67cb8eee2c2be17ca9f793c7c3bd20cc",
        files: &[weights(
            "model.safetensors",
            Some("a0e7364ddf91ff7028f1102e1b91ac7a72e3db4061241bd84efe45c72c9af03a"),
        )],
        license: "Apache-2.0",
        languages: "English",
        quality: quality(69.84, 32.56),
    },
    Registered {
        id: "ms-marco-MiniLM-L-2-v2",
        repository: "cross-encoder/ms-marco-MiniLM-L2-v2",
        former_repository: Some("cross-encoder/ms-marco-MiniLM-L-2-v2"),
        revision: "main",
        files: &[weights("model.safetensors", None)],
        license: "Apache-2.0",
        languages: "English",
        quality: quality(71.01, 34.85),
    },
    Registered {
        id: "ms-marco-MiniLM-L-4-v2",
        repository: "cross-encoder/ms-marco-MiniLM-L4-v2",
        former_repository: Some("cross-encoder/ms-marco-MiniLM-L-4-v2"),
        revision: "main",
        files: &[weights("model.safetensors", None)],
        license: "Apache-2.0",
        languages: "English",
        quality: quality(73.04, 37.70),
    },
    Registered {
        id: "ms-marco-MiniLM-L-6-v2",
        repository: "cross-encoder/ms-marco-MiniLM-L6-v2",
        former_repository: Some("cross-encoder/ms-marco-MiniLM-L-6-v2"),
        revision: "c5ee24cb16019beea0893ab7796b1df96625c6b8",
        files: &[weights("model.safetensors", None)],
        license: "Apache-2.0",
        languages: "English",
        quality: quality(74.30, 39.01),
    },
    Registered {
        id: "ms-marco-MiniLM-L-12-v2",
        repository: "cross-encoder/ms-marco-MiniLM-L12-v2",
        former_repository: Some("cross-encoder/ms-marco-MiniLM-L-12-v2"),
        revision: "7b0235231ca2674cb8ca8f022859a6eba2b1c968",
        files: &[weights("model.safetensors", None)],
        license: "Apache-2.0",
        languages: "English",
        quality: quality(74.31, 39.02),
    },
    Registered {
        id: "ce-esci-MiniLM-L12-v2",
        repository: "metarank/ce-esci-MiniLM-L12-v2",
        former_repository: None,
        revision: "main",
        files: &[weights("pytorch_model.bin", None)],
        license: "Apache-2.0",
        languages: "English (products)",
        quality: None,
    },
    Registered {
        id: "mmarco-mMiniLMv2-L12-H384-v1",
        repository: "cross-encoder/mmarco-mMiniLMv2-L12-H384-v1",
        former_repository: None,
        revision: "main",
        files: &[weights("model.safetensors", None)],
        license: "Apache-2.0",
        languages: "14 languages",
        quality: None,
    },
    Registered {
        id: "ms-marco-MultiBERT-L-12",
        repository: "amberoad/bert-multilingual-passage-reranking-msmarco",
        former_repository: None,
        revision: "main",
        files: &[weights("pytorch_model.bin", None)],
        license: "Apache-2.0",
        languages: "102 languages",
        quality: None,
    },
    Registered {
        id: "bge-reranker-base",
        repository: "BAAI/bge-reranker-base",
        former_repository: None,
        revision: "main",
        files: &[weights("model.safetensors", None)],
        license: "MIT",
        languages: "Chinese, English",
        quality: None,
    },
];

/// The model with this id.
pub fn find(id: &str) -> Option<&'static Registered> {
    MODELS.iter().find(|model| model.id == id)
}

/// Beginnings of other names of FlashRank's registry, in letters and digits, and what they are.
const OTHERS: [(&[&str], &str); 3] = [
    (
        &["rankt5", "flashrankrankt5"],
        "a T5 model with a decoder, which lanerank does not run",
    ),
    (
        &["rankzephyr"],
        "a language model of 7 billion parameters that puts a list in order, which lanerank does \
         not run",
    ),
    (
        &["minirerankerarabic"],
        "FlashRank's model for Arabic, which is in no repository that lanerank knows; FlashRank's \
         own folder or zip of it can be tried with `lanerank convert`, and \
         ms-marco-MultiBERT-L-12 reads Arabic",
    ),
];

/// Why a name is not a registered model, and which names are.
pub(super) fn unknown(name: &str) -> String {
    let key = plain(name);
    let begins = |(names, _): &&(&[&str], &str)| names.iter().any(|name| key.starts_with(name));
    let similar = MODELS.iter().find(|model| {
        let repository = model.repository.rsplit('/').next().unwrap_or_default();
        plain(model.id) == key || plain(repository) == key
    });
    let fault = match (OTHERS.iter().find(begins), similar) {
        (Some((_, what)), _) => format!("is {what}"),
        (None, Some(model)) => return format!("not a registered model; {:?} is one", model.id),
        (None, None) => "not a registered model".into(),
    };
    let ids: Vec<&str> = MODELS.iter().map(|model| model.id).collect();
    format!(
        "{fault}. Registered (`lanerank models list`): {}. Others are named org/name",
        ids.join(", ")
    )
}

/// Letters and digits only, in lower case.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::ModelId;
    use super::*;

    #[test]
    fn other_names_of_flashrank_are_explained() {
        for (names, words) in [
            (["rank-T5-flan", "rank_t5_FLAN", "RankT5"], "a T5 model"),
            (
                ["rank_zephyr_7b_v1_full", "rank_zephyr", "Rank-Zephyr"],
                "a language model",
            ),
            (
                [
                    "miniReranker_arabic_v1",
                    "minireranker-arabic-v1",
                    "MiniReranker_Arabic",
                ],
                "Arabic",
            ),
        ] {
            for name in names {
                let error = name.parse::<ModelId>().unwrap_err().to_string();
                assert!(error.contains(words), "{error}");
                for model in &MODELS {
                    assert!(error.contains(model.id), "{error}");
                }
            }
        }
    }

    #[test]
    fn other_spellings_are_named() {
        for name in [
            "ms_marco_TinyBERT_L_2_v2",
            "MS-MARCO-TINYBERT-L-2-V2",
            "ms-marco-TinyBERT-L2-v2",
        ] {
            let error = name.parse::<ModelId>().unwrap_err().to_string();
            assert!(
                error.ends_with("\"ms-marco-TinyBERT-L-2-v2\" is one"),
                "{error}"
            );
        }
        let error = "nosuchmodel".parse::<ModelId>().unwrap_err().to_string();
        assert!(
            error.contains("not a registered model. Registered"),
            "{error}"
        );
        assert!(error.contains("lanerank models list"), "{error}");
    }

    #[test]
    fn every_entry_is_usable() {
        for model in &MODELS {
            let id: ModelId = model.id.parse().unwrap();
            assert_eq!(id.registered(), Some(model));
            for name in id.repositories() {
                let plain: ModelId = format!("{name}@{}", model.revision).parse().unwrap();
                assert_eq!(plain.repository(), name);
            }
            assert_eq!(
                MODELS.iter().filter(|other| other.id == model.id).count(),
                1
            );
            let digests = model.files.iter().filter_map(|file| file.sha256);
            for digest in digests {
                let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
                assert!(digest.len() == 64 && digest.bytes().all(is_digit));
            }
        }
    }
}
