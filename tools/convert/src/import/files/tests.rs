use std::io::Write;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

fn archive(names: &[&str]) -> (tempfile::NamedTempFile, Result<Files, String>) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut writer = ZipWriter::new(file.reopen().unwrap());
    for name in names {
        writer
            .start_file(*name, SimpleFileOptions::default())
            .unwrap();
        writer.write_all(b"{\"a\": 1}").unwrap();
    }
    writer.finish().unwrap();
    let files = Files::archive(file.path()).map_err(|e| e.to_string());
    (file, files)
}

#[test]
fn the_folder_with_the_config() {
    let names = [
        "__MACOSX/model/._config.json",
        "__MACOSX/config.json",
        "model/",
        "model/._config.json",
        "model/config.json",
        "model/1_Pooling/config.json",
        "model/x.onnx",
        "other/y.onnx",
    ];
    let (file, files) = archive(&names);
    let files = files.unwrap();
    assert_eq!(files.names(), ["config.json", "x.onnx"]);
    assert!(files.has("1_Pooling/config.json") && !files.has("y.onnx"));
    assert_eq!(files.path("x"), file.path().join("model/x"));
    let content: serde_json::Value = files.read_json("config.json").unwrap();
    assert_eq!(content["a"], 1);
    assert!(files.read("y.onnx").is_err());
    let top = archive(&["config.json", "sub/config.json"]).1.unwrap();
    assert_eq!(top.names(), ["config.json"]);
}

#[test]
fn no_folder_or_several() {
    let error = archive(&["model/x.onnx"]).1.err().unwrap();
    assert!(error.ends_with("no config.json in this archive"), "{error}");
    let error = archive(&["a/config.json", "b/config.json"])
        .1
        .err()
        .unwrap();
    assert!(error.contains("several models, \"a\" and \"b\""), "{error}");
}

#[test]
fn folders_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["b", "a", "._a", ".DS_Store"] {
        fs::write(folder.path().join(name), "\u{feff}x").unwrap();
    }
    fs::create_dir(folder.path().join("d")).unwrap();
    let files = Files::folder(folder.path());
    assert_eq!(files.names(), ["a", "b"]);
    assert!(files.has("a") && !files.has("d") && !files.has("e"));
    assert_eq!(files.read_text("a").unwrap(), "x");
    fs::write(folder.path().join("a"), b"x\n\xff").unwrap();
    let error = files.read_text("a").unwrap_err().to_string();
    assert!(error.ends_with("a:2: not UTF-8"), "{error}");
    assert!(files.open("e").is_err());
}
