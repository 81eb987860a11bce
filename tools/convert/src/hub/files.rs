//! Selects the files of a repository that make up a model.

use std::fs;
use std::path::Path;

use crate::import::refusals;

/// Files that the converter reads in addition to the weights, if they exist.
const SIDE_FILES: [&str; 10] = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
];

/// Weights, in order of preference.
const WEIGHTS: [&str; 5] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "onnx/model.onnx",
    "model.onnx",
];

/// Selects the files of a model from a repository's paths.
///
/// # Errors
/// Names the missing file.
pub(super) fn select(paths: &[String]) -> Result<Vec<String>, String> {
    let has = |name: &str| paths.iter().any(|path| path == name);
    if has(refusals::ADAPTER_CONFIG) {
        return Err(refusals::adapter());
    }
    if !has("config.json") {
        return Err("it has no config.json".into());
    }
    if !has("tokenizer.json") && !has("vocab.txt") {
        return Err("it has neither tokenizer.json nor vocab.txt".into());
    }
    let weights = WEIGHTS.into_iter().find(|name| has(name));
    let weights = weights.ok_or_else(|| format!("it has none of {}", WEIGHTS.join(", ")))?;
    let mut selected: Vec<String> = SIDE_FILES
        .into_iter()
        .filter(|name| has(name))
        .map(Into::into)
        .collect();
    selected.push(weights.into());
    if weights.ends_with(".index.json") {
        selected.extend(shards(paths)?);
    }
    Ok(selected)
}

/// Whether a file may belong to a model, or says that there is none.
pub(super) fn is_part(path: &str) -> bool {
    SIDE_FILES.contains(&path)
        || WEIGHTS.contains(&path)
        || path == refusals::ADAPTER_CONFIG
        || shards_of(path).is_some()
}

/// Whether the converter reads a file of a model as text.
pub(super) fn is_text(path: &str) -> bool {
    SIDE_FILES.contains(&path) || path.ends_with(".index.json")
}

/// N of a name `model-00001-of-0000N.safetensors`. Only digits: a selected name becomes a path in
/// the cache.
fn shards_of(path: &str) -> Option<usize> {
    let name = path.strip_prefix("model-")?.strip_suffix(".safetensors")?;
    let (number, all) = name.split_once("-of-")?;
    let is_number = |text: &str| text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
    (is_number(number) && is_number(all)).then(|| all.parse().ok())?
}

/// The files `model-00001-of-0000N.safetensors`, all N of them.
fn shards(paths: &[String]) -> Result<Vec<String>, String> {
    let shards: Vec<String> = paths
        .iter()
        .filter(|path| shards_of(path).is_some())
        .cloned()
        .collect();
    match shards.first().and_then(|first| shards_of(first)) {
        Some(all) if all == shards.len() => Ok(shards),
        Some(all) => Err(format!(
            "{} of {all} files of weights are there",
            shards.len()
        )),
        None => Err("the files that model.safetensors.index.json names are not there".into()),
    }
}

/// Side files that a repository does not have.
pub(super) fn absent(paths: &[String]) -> impl Iterator<Item = &'static str> {
    SIDE_FILES
        .into_iter()
        .filter(|name| !paths.iter().any(|path| path == name))
}

/// The paths of the files in a folder and its subfolders. Broken links are skipped.
pub(super) fn list(folder: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    for (name, path) in entries(folder) {
        if path.is_dir() {
            let files = entries(&path).filter(|(_, path)| path.is_file());
            paths.extend(files.map(|(file, _)| format!("{name}/{file}")));
        } else if path.is_file() {
            paths.push(name);
        }
    }
    paths.sort();
    paths
}

fn entries(folder: &Path) -> impl Iterator<Item = (String, std::path::PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(paths: &[&str]) -> Result<String, String> {
        let paths: Vec<String> = paths.iter().map(|&path| path.into()).collect();
        select(&paths).map(|selected| selected.join(" "))
    }

    #[test]
    fn one_kind_of_weights_and_what_belongs_to_it() {
        let all = [
            "README.md",
            "config.json",
            "onnx/model.onnx",
            "pytorch_model.bin",
            "vocab.txt",
            "model.safetensors",
            "tf_model.h5",
        ];
        assert_eq!(
            selected(&all).unwrap(),
            "config.json vocab.txt model.safetensors"
        );
        assert_eq!(
            selected(&all[..5]).unwrap(),
            "config.json vocab.txt pytorch_model.bin"
        );
        let no_bin = ["config.json", "onnx/model.onnx", "tokenizer.json"];
        assert_eq!(
            selected(&no_bin).unwrap(),
            "config.json tokenizer.json onnx/model.onnx"
        );
    }

    #[test]
    fn all_shards_or_none() {
        let sharded = [
            "config.json",
            "vocab.txt",
            "model.safetensors.index.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
        ];
        assert!(
            selected(&sharded)
                .unwrap()
                .ends_with("00001-of-00002.safetensors model-00002-of-00002.safetensors")
        );
        assert_eq!(
            selected(&sharded[..4]).unwrap_err(),
            "1 of 2 files of weights are there"
        );
        assert!(selected(&sharded[..3]).is_err());
    }

    #[test]
    fn a_path_out_of_the_folder_is_never_selected() {
        let hostile = [
            "config.json",
            "vocab.txt",
            "model.safetensors.index.json",
            "model-/../../../x-of-1.safetensors",
            "../config.json",
            "/vocab.txt",
        ];
        assert!(selected(&hostile).is_err());
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(selected(&[]).unwrap_err().contains("config.json"));
        let adapter = selected(&["adapter_config.json", "adapter_model.safetensors"]);
        assert!(adapter.unwrap_err().contains("merge_and_unload()"));
        assert!(
            selected(&["config.json"])
                .unwrap_err()
                .contains("vocab.txt")
        );
        let error = selected(&["config.json", "vocab.txt"]).unwrap_err();
        assert!(error.contains("model.safetensors"), "{error}");
    }
}
