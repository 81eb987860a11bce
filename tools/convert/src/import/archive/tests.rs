use std::io::{Cursor, Write};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

/// An archive with these files.
fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        let options = SimpleFileOptions::default();
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn open(bytes: Vec<u8>) -> Result<Archive, String> {
    let len = bytes.len() as u64;
    Archive::open(Box::new(Cursor::new(bytes)), len, &Budget::of(len))
}

fn refusal(bytes: Vec<u8>) -> String {
    open(bytes).err().expect("refused")
}

/// The bytes with every `from` replaced, of the same length.
fn replace(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut count = 0;
    for at in 0..=bytes.len() - from.len() {
        if &bytes[at..at + from.len()] == from {
            bytes[at..at + from.len()].copy_from_slice(to);
            count += 1;
        }
    }
    assert!(count > 0);
    bytes
}

#[test]
fn files_are_read_by_name() {
    let mut archive = open(zip(&[("a/b.txt", b"text"), ("c", b"")])).unwrap();
    assert_eq!(archive.names().collect::<Vec<_>>(), ["a/b.txt", "c"]);
    assert!(archive.has("c") && !archive.has("a"));
    assert_eq!(
        (archive.len_of("a/b.txt"), archive.len_of("d")),
        (Some(4), None)
    );
    assert_eq!(archive.read("a/b.txt").unwrap(), b"text");
    assert_eq!(archive.read("c").unwrap(), b"");
    assert_eq!(
        archive.read("d").unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
}

#[test]
fn names_that_lead_elsewhere() {
    for (name, expected) in [
        ("../xxxx", "leads out of the archive"),
        ("a/../bb", "leads out of the archive"),
        ("..\\xxxx", "leads out of the archive"),
        ("a//xxxx", "leads out of the archive"),
        ("./xxxxx", "leads out of the archive"),
        ("/xxxxxx", "absolute"),
        ("\\xxxxxx", "absolute"),
        ("C:xxxxx", "absolute"),
        ("a\0xxxxx", "absolute"),
        ("a\\xxxxx", "backslash"),
    ] {
        let bytes = replace(zip(&[("xxxxxxx", b"")]), b"xxxxxxx", name.as_bytes());
        let error = refusal(bytes);
        assert!(
            error.starts_with("entry ") && error.contains(expected),
            "{name}: {error}"
        );
    }
}

#[test]
fn a_name_that_occurs_twice_is_refused() {
    let two = zip(&[("m/a.txt", b"one"), ("m/b.txt", b"two"), ("m/c.txt", b"")]);
    let bytes = replace(two, b"m/b.txt", b"m/a.txt");
    let expected = "entry \"m/a.txt\": occurs twice; pack the model again";
    assert_eq!(refusal(bytes), expected);
}

#[test]
fn links_are_refused() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    writer
        .add_symlink("config.json", "/etc/passwd", options)
        .unwrap();
    let bytes = writer.finish().unwrap().into_inner();
    assert_eq!(refusal(bytes), "entry \"config.json\": is a link");
}

#[test]
fn bombs_are_refused_unread() {
    let bomb = zip(&[("a", &vec![0; 80 << 20])]);
    assert!(bomb.len() < 100 << 10);
    let error = refusal(bomb);
    let expected = "entry \"a\": would take 83886080 bytes of memory";
    assert!(error.starts_with(expected), "{error}");
    // A tokenizer with one piece said a thousand times is none.
    assert!(open(zip(&[("a", &[0; 4 << 20])])).is_ok());
    // Entries that all unpack the same bytes.
    let one = zip(&[("a", &[7; 3000]), ("b", &[7; 3000])]);
    let central = |name: u8| {
        let at = one
            .windows(4)
            .enumerate()
            .filter(|(_, w)| *w == b"PK\x01\x02");
        let mut at = at.map(|(at, _)| at).filter(|&at| one[at + 46] == name);
        at.next().unwrap()
    };
    let mut overlapping = one.clone();
    for name in *b"ab" {
        // The compressed size, which the local header does not have to agree with.
        let at = central(name) + 20;
        overlapping[at..at + 4].copy_from_slice(&3000u32.to_le_bytes());
    }
    let error = refusal(overlapping);
    assert!(error.contains("overlap"), "{error}");
}

#[test]
fn a_length_that_lies_is_an_error() {
    let mut bytes = zip(&[("a", &[7; 3000])]);
    let at = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    bytes[at + 24..at + 28].copy_from_slice(&10u32.to_le_bytes());
    let error = open(bytes).unwrap().read("a").unwrap_err();
    assert!(error.to_string().contains("larger than"), "{error}");
}

#[test]
fn what_is_no_archive() {
    assert!(open(Vec::new()).is_err());
    assert!(open(b"PK\x03\x04".to_vec()).is_err());
    let bytes = zip(&[("a", b"text")]);
    for cut in 0..bytes.len() {
        assert!(open(bytes[..cut].to_vec()).is_err(), "{cut}");
    }
    let mut damaged = bytes;
    // The content follows 30 bytes of header and the name.
    damaged[31] ^= 0x55;
    assert!(open(damaged).unwrap().read("a").is_err());
}
