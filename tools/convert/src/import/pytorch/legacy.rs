//! Files of PyTorch before 1.6: five pickles (a magic number, a version, the machine, the tensors,
//! the keys of the storages), then the storages in the order of the keys, each as its length and
//! elements.

use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom};

use super::pickle::{self, Heap, Value};
use super::{Container, Parts, Place, Storage, storage_bytes};
use crate::import::archive::ReadSeek;
use crate::import::budget::{Budget, LONGEST_TEXT};
use crate::import::elements::Element;
use crate::import::stream::Stream;

/// The magic number of the format, ten bytes long.
const MAGIC: [u8; 14] = [
    0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19,
];
/// The only version.
const VERSION: Value = Value::Int(1001);

/// Opens a file that is not a zip archive.
pub(super) fn open(
    mut reader: Box<dyn ReadSeek>,
    file_len: u64,
    budget: &Budget,
) -> Result<Parts, String> {
    let mut stream = Stream::new(&mut reader, file_len.min(LONGEST_TEXT));
    if stream.array().ok() != Some(MAGIC) || stream.byte().ok() != Some(b'.') {
        return Err("not a file that torch.save made".into());
    }
    if pickle::run(&mut stream, budget)?.0 != VERSION {
        return Err("the version is not 1001".into());
    }
    let (machine, heap) = pickle::run(&mut stream, budget)?;
    check_machine(&heap, &machine)?;
    let (top, heap) = pickle::run(&mut stream, budget)?;
    let (keys, texts) = pickle::run(&mut stream, budget)?;
    let keys = texts.items(&keys).and_then(|keys| {
        let keys = keys.iter().map(|key| texts.text(key));
        keys.collect::<Option<Vec<&str>>>()
    });
    let keys = keys.ok_or("no list of storages")?;
    let start = stream.position();
    let places = places(&mut reader, start, file_len, &keys, &heap)?;
    let mut storages = Vec::new();
    for storage in &heap.storages {
        let key = heap.key(storage);
        let place = places.get(key);
        let place = place.ok_or_else(|| format!("storage {key:?}: missing"))?;
        let bytes = storage_bytes(storage, key)?;
        if place.1 != storage.len
            || place.2 != storage.kind
            || place.0.checked_add(bytes).is_none_or(|end| end > file_len)
        {
            return Err(format!("storage {key:?}: has another length"));
        }
        storages.push(Storage {
            element: storage.kind,
            bytes,
            place: Place::At(place.0),
        });
    }
    Ok((Container::Plain(reader), storages, (top, heap)))
}

fn check_machine(heap: &Heap, machine: &Value) -> Result<(), String> {
    let entries = heap
        .dict(machine)
        .ok_or("does not name the machine that made it")?;
    let little = entries
        .iter()
        .find(|(key, _)| heap.text(key) == Some("little_endian"));
    match little {
        Some((_, Value::Bool(true))) => Ok(()),
        _ => Err("made on a big-endian machine; save it on a little-endian one".into()),
    }
}

/// Position, length in elements and type of each storage.
fn places<'a>(
    reader: &mut Box<dyn ReadSeek>,
    start: u64,
    file_len: u64,
    keys: &[&'a str],
    heap: &Heap,
) -> Result<BTreeMap<&'a str, (u64, u64, Element)>, String> {
    let kinds = heap.storages.iter();
    let kinds: BTreeMap<&str, Element> = kinds.map(|s| (heap.key(s), s.kind)).collect();
    let mut places = BTreeMap::new();
    let mut at = start;
    for &key in keys {
        let wrong = || format!("storage {key:?}: does not fit into the file");
        let kind = kinds.get(key);
        let kind = *kind.ok_or_else(|| format!("storage {key:?}: no tensor is in it"))?;
        let mut length = [0; 8];
        reader
            .seek(SeekFrom::Start(at))
            .and_then(|_| reader.read_exact(&mut length))
            .map_err(|_| wrong())?;
        let length = u64::from_le_bytes(length);
        at += 8;
        if places.insert(key, (at, length, kind)).is_some() {
            return Err(format!("storage {key:?}: occurs twice"));
        }
        let end = length
            .checked_mul(kind.size() as u64)
            .and_then(|len| len.checked_add(at));
        at = end.filter(|&end| end <= file_len).ok_or_else(wrong)?;
    }
    if at == file_len {
        Ok(places)
    } else {
        Err(format!("{} bytes after the last storage", file_len - at))
    }
}
