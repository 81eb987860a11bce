//! Safetensors weights in several files, with an index that maps tensors to files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use serde::Deserialize;

use super::entries::Entries;
use super::error::ImportError;
use super::files::Files;
use super::names::Naming;
use super::safetensors::SafeTensors;
use super::weights::Weights;
use crate::error::Error;
use crate::source::TensorSource;

/// Name of the index.
pub(super) const INDEX: &str = "model.safetensors.index.json";

/// The largest models have about a hundred.
const MAX_SHARDS: usize = 256;

#[derive(Deserialize)]
struct Index {
    weight_map: Entries<String>,
}

/// The tensors of all files in an index.
pub(super) struct Shards {
    files: Vec<SafeTensors>,
    /// File of each tensor.
    places: BTreeMap<String, usize>,
}

impl Shards {
    /// Opens an index and all its files, which must be in the index's folder.
    ///
    /// # Errors
    /// When a file is missing or invalid, or when a file's tensors differ from those that the index
    /// maps to it.
    pub(super) fn open(files: &Files, index: &str) -> Result<Self, ImportError> {
        let wrong = |reason: String| ImportError::at(files.path(index), reason);
        let Index { weight_map } = files.read_json(index)?;
        let naming = Naming::of(weight_map.0.iter().map(|(name, _)| name.as_str()));
        let naming = naming.map_err(wrong)?;
        let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (tensor, file) in weight_map.0 {
            if !is_plain_name(&file) {
                let reason = format!(
                    "tensor {tensor:?} in {file:?}, which is not a file in the same folder"
                );
                return Err(wrong(reason));
            }
            if !wanted
                .entry(file)
                .or_default()
                .insert(naming.canonical(&tensor))
            {
                return Err(wrong(format!("tensor {tensor:?} occurs twice")));
            }
        }
        if wanted.len() > MAX_SHARDS {
            return Err(wrong(format!(
                "{} files; at most {MAX_SHARDS}",
                wanted.len()
            )));
        }
        let mut shards = Shards {
            files: Vec::new(),
            places: BTreeMap::new(),
        };
        for (file, tensors) in wanted {
            let shard = SafeTensors::named(files.open(&file)?, Some(&naming))?;
            let found: BTreeSet<String> = shard.names().into_iter().collect();
            if let Some(name) = tensors.difference(&found).next() {
                return Err(wrong(format!("tensor {name:?} is not in {file}")));
            }
            if let Some(name) = found.difference(&tensors).next() {
                return Err(wrong(format!(
                    "{file} has tensor {name:?}, which is not listed"
                )));
            }
            for name in found {
                if shards
                    .places
                    .insert(name.clone(), shards.files.len())
                    .is_some()
                {
                    return Err(wrong(format!("two tensors are both {name:?}")));
                }
            }
            shards.files.push(shard);
        }
        Ok(shards)
    }
}

/// Whether this is the name of a file in the same folder.
fn is_plain_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let first = parts.next();
    matches!(first, Some(Component::Normal(part)) if part.to_str() == Some(name))
        && !name.contains(['\\', ':'])
}

impl Weights for Shards {
    fn names(&self) -> Vec<String> {
        self.places.keys().cloned().collect()
    }
}

impl TensorSource for Shards {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.files[*self.places.get(name)?].shape(name)
    }

    fn read(&mut self, name: &str) -> Result<Vec<f32>, Error> {
        match self.places.get(name) {
            Some(&place) => self.files[place].read(name),
            None => Err(Error::Tensor {
                name: name.to_owned(),
                reason: "missing".into(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    fn shard(tensors: &[(&str, f32)]) -> Vec<u8> {
        let mut header = serde_json::Map::new();
        for (i, (name, _)) in tensors.iter().enumerate() {
            let entry = json!({"dtype": "F32", "shape": [1], "data_offsets": [4 * i, 4 * i + 4]});
            header.insert((*name).into(), entry);
        }
        let header = serde_json::Value::Object(header).to_string();
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.as_bytes());
        tensors
            .iter()
            .for_each(|(_, v)| file.extend(v.to_le_bytes()));
        file
    }

    fn open(map: serde_json::Value) -> Result<Shards, String> {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &[u8]| fs::write(folder.path().join(name), content);
        write("one.safetensors", &shard(&[("bert.a", 1.0), ("b", 2.0)])).unwrap();
        write("two.safetensors", &shard(&[("c", 3.0)])).unwrap();
        let index = json!({"metadata": {"total_size": 12}, "weight_map": map}).to_string();
        write(INDEX, index.as_bytes()).unwrap();
        Shards::open(&Files::folder(folder.path()), INDEX).map_err(|e| e.to_string())
    }

    #[test]
    fn every_tensor_in_its_file() {
        let (one, two) = ("one.safetensors", "two.safetensors");
        let mut shards = open(json!({"bert.a": one, "b": one, "c": two})).unwrap();
        assert_eq!(shards.names(), ["a", "b", "c"]);
        assert_eq!(shards.shape("c"), Some(vec![1]));
        assert_eq!(shards.shape("d"), None);
        for (name, value) in [("a", 1.0), ("b", 2.0), ("c", 3.0)] {
            assert_eq!(shards.read(name).unwrap(), [value]);
        }
        assert!(shards.read("d").is_err());
        for (map, expected) in [
            (
                json!({"bert.a": one, "c": two}),
                "one.safetensors has tensor \"b\"",
            ),
            (
                json!({"bert.a": one, "b": two, "c": two}),
                "which is not listed",
            ),
            (
                json!({"bert.a": one, "b": one, "d": two}),
                "tensor \"d\" is not in",
            ),
            (json!({"bert.a": one, "b": one, "c": "three"}), "three: "),
        ] {
            let error = open(map).err().unwrap();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn names_that_lead_elsewhere() {
        for name in [
            "../x",
            "/etc/passwd",
            "a/b",
            "..",
            ".",
            "",
            "a\\b",
            "C:x",
            "./a",
        ] {
            let error = open(json!({"a": name})).err().unwrap();
            assert!(
                error.contains("not a file in the same folder"),
                "{name}: {error}"
            );
        }
    }
}
