//! Files of sentence-transformers: pooling, normalisation and the maximum length of an encoder.

use std::path::{Component, Path};

use lanerank::model::{Head, Pooling};
use lanerank::tokenizer::Prompts;
use serde::Deserialize;

use crate::import::error::ImportError;
use crate::import::files::Files;

#[derive(Debug, Deserialize)]
struct Module {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    path: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PoolingConfig {
    /// In newer files.
    pooling_mode: Option<String>,
    pooling_mode_cls_token: bool,
    pooling_mode_mean_tokens: bool,
    pooling_mode_max_tokens: bool,
    pooling_mode_mean_sqrt_len_tokens: bool,
    pooling_mode_weightedmean_tokens: bool,
    pooling_mode_lasttoken: bool,
    /// Whether a prompt's tokens are pooled; they are if it is missing.
    include_prompt: Option<bool>,
}

impl PoolingConfig {
    fn modes(&self) -> Vec<&str> {
        let flags = [
            (self.pooling_mode_cls_token, "cls"),
            (self.pooling_mode_mean_tokens, "mean"),
            (self.pooling_mode_max_tokens, "max"),
            (
                self.pooling_mode_mean_sqrt_len_tokens,
                "mean_sqrt_len_tokens",
            ),
            (self.pooling_mode_weightedmean_tokens, "weightedmean"),
            (self.pooling_mode_lasttoken, "lasttoken"),
        ];
        let flagged = flags.iter().filter(|(on, _)| *on).map(|(_, name)| *name);
        self.pooling_mode
            .as_deref()
            .into_iter()
            .chain(flagged)
            .collect()
    }

    fn pooling(&self) -> Result<Pooling, String> {
        match self.modes()[..] {
            ["mean"] => Ok(Pooling::Mean),
            ["cls"] => Ok(Pooling::Cls),
            ref other => Err(format!(
                "pooling {:?} is not supported; lanerank pools by mean or by cls",
                other.join("+")
            )),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SentenceConfig {
    max_seq_length: Option<usize>,
    do_lower_case: bool,
}

/// Whether a folder has the files that make BERT a sentence encoder.
pub(super) fn is_there(files: &Files) -> bool {
    files.has("modules.json") || files.has("1_Pooling/config.json")
}

/// The head of an encoder. `choice` overrides the folder's pooling.
pub(super) fn encoder_head(
    files: &Files,
    choice: Option<Pooling>,
    prompts: &Prompts,
) -> Result<Head, ImportError> {
    let modules: Vec<Module> = files
        .read_json_if_there("modules.json")?
        .unwrap_or_default();
    let mut normalize = false;
    let mut pooling_folder = "1_Pooling";
    for module in &modules {
        let kind = module.kind.rsplit('.').next().unwrap_or_default();
        match kind {
            "Transformer" => (),
            "Normalize" => normalize = true,
            "Pooling" if is_plain_name(&module.path) => pooling_folder = &module.path,
            _ => {
                let reason = format!(
                    "module {:?} at {:?} is not supported; lanerank knows Transformer, Pooling \
                     and Normalize",
                    module.kind, module.path
                );
                return Err(ImportError::at(files.path("modules.json"), reason));
            }
        }
    }
    let pooling = read_pooling(files, pooling_folder, choice, prompts)?;
    Ok(Head::Encoder { pooling, normalize })
}

fn is_plain_name(path: &str) -> bool {
    let mut components = Path::new(path).components();
    matches!(components.next(), Some(Component::Normal(_))) && components.next().is_none()
}

fn read_pooling(
    files: &Files,
    folder: &str,
    choice: Option<Pooling>,
    prompts: &Prompts,
) -> Result<Pooling, ImportError> {
    let name = format!("{folder}/config.json");
    let wrong = |reason| ImportError::at(files.path(&name), reason);
    let config: Option<PoolingConfig> = files.read_json_if_there(&name)?;
    if config.as_ref().and_then(|config| config.include_prompt) == Some(false)
        && !prompts.is_empty()
    {
        let reason = "include_prompt false is not supported; lanerank pools a prompt's tokens, too";
        return Err(wrong(reason.into()));
    }
    match (choice, config) {
        (Some(choice), _) => Ok(choice),
        (None, Some(config)) => config.pooling().map_err(wrong),
        (None, None) => {
            let reason =
                "an encoder without 1_Pooling/config.json; say --pooling mean or --pooling cls";
            Err(ImportError::at(files.root(), reason))
        }
    }
}

/// The maximum length that sentence-transformers uses. `lowercase` is the tokenizer's.
pub(super) fn max_length(files: &Files, lowercase: bool) -> Result<Option<usize>, ImportError> {
    let name = "sentence_bert_config.json";
    let config: SentenceConfig = files.read_json_if_there(name)?.unwrap_or_default();
    if config.do_lower_case && !lowercase {
        let reason = "do_lower_case with a cased tokenizer is not supported";
        return Err(ImportError::at(files.path(name), reason));
    }
    Ok(config.max_seq_length)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn head(modules: &str, pooling: &str, choice: Option<Pooling>) -> Result<Head, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("1_Pooling")).unwrap();
        fs::write(folder.path().join("modules.json"), modules).unwrap();
        fs::write(folder.path().join("1_Pooling/config.json"), pooling).unwrap();
        encoder_head(&Files::folder(folder.path()), choice, &Prompts::default())
            .map_err(|e| e.to_string())
    }

    const POOLED: &str = r#"[{"type":"sentence_transformers.models.Transformer","path":""},
        {"type":"sentence_transformers.models.Pooling","path":"1_Pooling"}]"#;

    fn encoder(pooling: Pooling, normalize: bool) -> Head {
        Head::Encoder { pooling, normalize }
    }

    #[test]
    fn pooling_and_normalising() {
        let mean = r#"{"pooling_mode_mean_tokens":true,"word_embedding_dimension":8}"#;
        assert_eq!(head(POOLED, mean, None), Ok(encoder(Pooling::Mean, false)));
        let normalized = POOLED.replace(
            "}]",
            "},{\"type\":\"x.Normalize\",\"path\":\"2_Normalize\"}]",
        );
        assert_eq!(
            head(&normalized, mean, None),
            Ok(encoder(Pooling::Mean, true))
        );
        let cls = r#"{"pooling_mode":"cls"}"#;
        assert_eq!(head(POOLED, cls, None), Ok(encoder(Pooling::Cls, false)));
        assert_eq!(
            head("[]", cls, Some(Pooling::Mean)),
            Ok(encoder(Pooling::Mean, false))
        );
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let error = head(POOLED, r#"{"pooling_mode_max_tokens":true}"#, None).unwrap_err();
        assert!(error.contains("pooling \"max\""), "{error}");
        let both = r#"{"pooling_mode_mean_tokens":true,"pooling_mode_cls_token":true}"#;
        assert!(head(POOLED, both, None).unwrap_err().contains("cls+mean"));
        let dense = POOLED.replace("models.Pooling", "models.Dense");
        assert!(
            head(&dense, "{}", None)
                .unwrap_err()
                .contains("models.Dense")
        );
        let outside = POOLED.replace("1_Pooling", "../1_Pooling");
        assert!(
            head(&outside, "{}", None)
                .unwrap_err()
                .contains("../1_Pooling")
        );
        let empty = tempfile::tempdir().unwrap();
        let error = encoder_head(&Files::folder(empty.path()), None, &Prompts::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains("--pooling mean"), "{error}");
    }

    #[test]
    fn lengths() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::folder(folder.path());
        assert_eq!(max_length(&files, true).unwrap(), None);
        let text = r#"{"max_seq_length":256,"do_lower_case":true}"#;
        fs::write(folder.path().join("sentence_bert_config.json"), text).unwrap();
        assert_eq!(max_length(&files, true).unwrap(), Some(256));
        assert!(max_length(&files, false).is_err());
    }
}
