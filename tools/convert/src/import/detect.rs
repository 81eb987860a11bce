//! What a source is: by its content, not by what it is called.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::archive::Archive;
use super::error::ImportError;
use super::files::{Files, Opened};
use super::{Kind, weights};

/// A source, located.
pub struct Found {
    /// The model's files.
    pub files: Files,
    /// Kind of its weights.
    pub kind: Kind,
    /// Their file.
    pub weights: String,
}

/// What a file begins with.
enum Content {
    Archive,
    Weights(Kind),
    /// Something else that is known.
    Refused(&'static str),
    Unknown,
}

/// Finds the model at a path: a folder, an archive, or a file of weights with the rest of the model
/// beside it. `kind` says which weights are meant where there are several.
///
/// # Errors
/// When there is no model there.
pub fn find(path: &Path, kind: Option<Kind>) -> Result<Found, ImportError> {
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
            "is neither a folder nor a file that lanerank knows: safetensors, PyTorch, ONNX, GGUF \
             or a zip of a model folder",
        )),
    }
}

fn in_files(files: Files, kind: Option<Kind>) -> Result<Found, ImportError> {
    let (kind, weights) = weights::find(&files, kind)?;
    Ok(Found {
        files,
        kind,
        weights,
    })
}

/// A file of weights; its folder is the model's, or the one above where the file lies in `onnx/`.
fn beside(path: &Path, kind: Kind) -> Result<Found, ImportError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| ImportError::at(path, "is no file with a name in UTF-8"))?;
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
    Ok(match above {
        Some(above) => found(above, format!("onnx/{name}")),
        None => found(folder, name.to_owned()),
    })
}

fn content(path: &Path) -> Result<Content, ImportError> {
    let wrong = |e| ImportError::at(path, e);
    let mut start = Vec::new();
    let file = File::open(path).map_err(wrong)?;
    file.take(16).read_to_end(&mut start).map_err(wrong)?;
    let length = start.first_chunk().map_or(0, |b| u64::from_le_bytes(*b));
    Ok(match start[..] {
        [b'G', b'G', b'U', b'F', ..] => Content::Weights(Kind::Gguf),
        [b'P', b'K', 3 | 5, 4 | 6, ..] => zipped(path)?,
        [0x80, 2..=5, ..] => Content::Weights(Kind::Pytorch),
        [0x89, b'H', b'D', b'F', ..] => Content::Refused(
            "TensorFlow weights are not supported; save the model as model.safetensors",
        ),
        [b'L', b'A', b'N', b'E', ..] => Content::Refused("is a model file of lanerank's already"),
        [_, _, _, _, _, _, _, _, b'{', ..] if length < 1 << 32 => {
            Content::Weights(Kind::Safetensors)
        }
        // Protocol buffers begin with the field that ONNX files begin with: ir_version.
        [8, 1..=20, ..] => Content::Weights(Kind::Onnx),
        _ if path.extension().is_some_and(|ext| ext == "onnx") => Content::Weights(Kind::Onnx),
        _ => Content::Unknown,
    })
}

/// Whether a zip archive holds a model's folder or a pickle's tensors.
fn zipped(path: &Path) -> Result<Content, ImportError> {
    let opened = Opened::disk(path)?;
    let archive = Archive::open(opened.reader, opened.len);
    let archive = archive.map_err(|reason| ImportError::at(path, reason))?;
    let is_pickle = |name: &str| name.rsplit('/').next() == Some("data.pkl");
    let is_folder = |name: &str| name.rsplit('/').next() == Some("config.json");
    let pickled = archive.names().any(is_pickle) && !archive.names().any(is_folder);
    Ok(match pickled {
        true => Content::Weights(Kind::Pytorch),
        false => Content::Archive,
    })
}
