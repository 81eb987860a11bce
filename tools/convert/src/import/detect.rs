//! Detects the format of a source by its content, not by its name.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::archive::Archive;
use super::error::ImportError;
use super::files::{Files, Opened};
use super::options::Kind;
use super::pointer;
use super::refusals;
use super::shards;

/// A located source.
pub(super) struct Found {
    /// The model's files.
    pub files: Files,
    /// Kind of its weights.
    pub kind: Kind,
    /// The file of the weights.
    pub weights: String,
}

/// The content of a file, from its first bytes.
enum Content {
    Archive,
    Weights(Kind),
    /// Another known format, and why it is refused.
    Refused(&'static str),
    Unknown,
}

/// Finds the model at a path: a folder, an archive, or a file of weights with the rest of the model
/// next to it. `kind` chooses the weights where there are several.
///
/// # Errors
/// When there is no model.
pub(super) fn find(path: &Path, kind: Option<Kind>) -> Result<Found, ImportError> {
    if path.is_dir() {
        if kind == Some(Kind::Zip) {
            return Err(ImportError::at(path, "is a folder, not a zip archive"));
        }
        return in_files(Files::folder(path), kind);
    }
    let of_kind = kind.filter(|&kind| kind != Kind::Zip);
    match (content(path)?, of_kind) {
        (Content::Archive, _) => in_files(Files::archive(path)?, of_kind),
        _ if kind == Some(Kind::Zip) => Err(ImportError::at(path, "is not a zip archive")),
        (_, Some(kind)) | (Content::Weights(kind), None) => beside(path, kind),
        (Content::Refused(reason), None) => Err(ImportError::at(path, reason)),
        (Content::Unknown, None) => Err(ImportError::at(
            path,
            "is neither a folder nor a file in a known format: safetensors, PyTorch, ONNX, GGUF \
             or a zip of a model folder",
        )),
    }
}

fn in_files(files: Files, kind: Option<Kind>) -> Result<Found, ImportError> {
    refuse_adapter(&files)?;
    let (kind, weights) = find_weights(&files, kind)?;
    Ok(Found {
        files,
        kind,
        weights,
    })
}

/// Refuses a folder with the files of an adapter. PEFT's programs apply it to its base model even
/// if there are other weights.
fn refuse_adapter(files: &Files) -> Result<(), ImportError> {
    const FILES: [&str; 3] = [
        refusals::ADAPTER_CONFIG,
        "adapter_model.safetensors",
        "adapter_model.bin",
    ];
    match FILES.iter().find(|name| files.has(name)) {
        Some(name) => Err(ImportError::at(files.path(name), refusals::adapter())),
        None => Ok(()),
    }
}

/// Names of weights files, in order of preference.
const KNOWN: [(&str, Kind); 12] = [
    ("model.safetensors", Kind::Safetensors),
    (shards::INDEX, Kind::Safetensors),
    ("pytorch_model.bin", Kind::Pytorch),
    ("model.onnx", Kind::Onnx),
    ("onnx/model.onnx", Kind::Onnx),
    // FlashRank's.
    ("flashrank-TinyBERT-L-2-v2.onnx", Kind::Onnx),
    ("flashrank-MiniLM-L-12-v2_Q.onnx", Kind::Onnx),
    ("flashrank-MultiBERT-L12_Q.onnx", Kind::Onnx),
    ("flashrank-ce-esci-MiniLM-L12-v2_Q.onnx", Kind::Onnx),
    ("miniReranker_arabic_v1.onnx", Kind::Onnx),
    ("model_quantized.onnx", Kind::Onnx),
    ("onnx/model_quantized.onnx", Kind::Onnx),
];

/// Weights files that no reader supports, and why.
const UNREADABLE: [(&str, &str); 5] = [
    (
        "pytorch_model.bin.index.json",
        "pickles in several files are not supported; save the model as model.safetensors",
    ),
    (
        "tf_model.h5",
        "TensorFlow weights are not supported; save the model as model.safetensors",
    ),
    (
        "flax_model.msgpack",
        "Flax weights are not supported; save the model as model.safetensors",
    ),
    (
        "openvino_model.xml",
        "OpenVINO models are not supported; convert the model that it was made from",
    ),
    (
        "model.bin",
        "CTranslate2 models are not supported; convert the model that it was made from",
    ),
];

/// The weights of a folder or archive: those of `kind`, else the best of all.
///
/// # Errors
/// When there are none, or several candidates.
fn find_weights(files: &Files, kind: Option<Kind>) -> Result<(Kind, String), ImportError> {
    let wanted = |of: Kind| kind.is_none_or(|kind| kind == of);
    let known = KNOWN
        .iter()
        .find(|(name, of)| wanted(*of) && files.has(name));
    if let Some(&(name, kind)) = known {
        return Ok((kind, name.to_owned()));
    }
    let names = files.names();
    for (ending, of) in [(".onnx", Kind::Onnx), (".gguf", Kind::Gguf)] {
        let mut others = names.iter().filter(|name| name.ends_with(ending));
        match (others.next(), others.next()) {
            _ if !wanted(of) => {}
            (Some(only), None) => return Ok((of, only.clone())),
            (Some(one), Some(other)) => {
                let reason = format!("{one} and {other} in one folder; name the file to convert");
                return Err(ImportError::at(files.root(), reason));
            }
            _ => {}
        }
    }
    let found = UNREADABLE.iter().find(|(name, _)| files.has(name));
    Err(match (found, kind) {
        (Some((name, reason)), None) => ImportError::at(files.path(name), reason),
        (_, Some(kind)) => ImportError::at(files.root(), format!("no {kind} weights here")),
        _ => ImportError::at(
            files.root(),
            "no model.safetensors, pytorch_model.bin, .onnx or .gguf in this folder",
        ),
    })
}

/// Locates a file of weights. The model's folder is the file's, or its parent if that is `onnx/`.
fn beside(path: &Path, kind: Kind) -> Result<Found, ImportError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| ImportError::at(path, "is not a file with a name in UTF-8"))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let found = |folder: &Path, weights: String| Found {
        files: Files::folder(folder),
        kind,
        weights,
    };
    let above = folder.parent().filter(|above| {
        folder.file_name().is_some_and(|name| name == "onnx")
            && !folder.join("config.json").is_file()
            && above.join("config.json").is_file()
    });
    let found = match above {
        Some(above) => found(above, format!("onnx/{name}")),
        None => found(folder, name.to_owned()),
    };
    if kind != Kind::Gguf {
        refuse_adapter(&found.files)?;
    }
    Ok(found)
}

fn content(path: &Path) -> Result<Content, ImportError> {
    let wrong = |e| ImportError::at(path, e);
    let mut start = Vec::new();
    let file = File::open(path).map_err(wrong)?;
    let first = file.take(pointer::START_LEN as u64).read_to_end(&mut start);
    first.map_err(wrong)?;
    pointer::check(path, &start)?;
    let length = start.first_chunk().map_or(0, |b| u64::from_le_bytes(*b));
    Ok(match start[..] {
        [b'G', b'G', b'U', b'F', ..] => Content::Weights(Kind::Gguf),
        [b'P', b'K', 3 | 5, 4 | 6, ..] => zipped(path)?,
        [0x80, 2..=5, ..] => Content::Weights(Kind::Pytorch),
        [0x89, b'H', b'D', b'F', ..] => Content::Refused(
            "TensorFlow weights are not supported; save the model as model.safetensors",
        ),
        [b'L', b'A', b'N', b'E', ..] => Content::Refused("is already a model file of lanerank"),
        [_, _, _, _, _, _, _, _, b'{', ..] if length < 1 << 32 => {
            Content::Weights(Kind::Safetensors)
        }
        // ONNX files begin with the protocol buffer field ir_version.
        [8, 1..=20, ..] => Content::Weights(Kind::Onnx),
        _ if path.extension().is_some_and(|ext| ext == "onnx") => Content::Weights(Kind::Onnx),
        _ => Content::Unknown,
    })
}

/// Tells a zip archive of a model folder from a zip archive of a pickle's tensors.
fn zipped(path: &Path) -> Result<Content, ImportError> {
    let opened = Opened::disk(path)?;
    let archive = Archive::open(opened.reader, opened.len, &opened.budget);
    let archive = archive.map_err(|reason| ImportError::at(path, reason))?;
    let is_pickle = |name: &str| name.rsplit('/').next() == Some("data.pkl");
    let is_folder = |name: &str| name.rsplit('/').next() == Some("config.json");
    let pickled = archive.names().any(is_pickle) && !archive.names().any(is_folder);
    Ok(if pickled {
        Content::Weights(Kind::Pytorch)
    } else {
        Content::Archive
    })
}

/// Whether a path is a model file of lanerank: by its extension, whether or not the file exists, or
/// by its first bytes.
pub fn is_lane(path: &Path) -> bool {
    let named = path.extension().is_some_and(|ext| ext == "lane");
    let begins = || -> std::io::Result<bool> {
        let mut start = [0; 4];
        File::open(path)?.read_exact(&mut start)?;
        Ok(start == *b"LANE")
    };
    named || (path.is_file() && begins().unwrap_or(false))
}
