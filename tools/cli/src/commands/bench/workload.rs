//! Reads the requests to time from a file.

use std::path::Path;

use lanerank_bench::workload::Workload;
use lanerank_convert::import::Entries;

use crate::failure::Failure;
use crate::input::{Input, MAX_WHOLE};

/// Reads `{"name": {"query": ..., "passages": [...]}, ...}`, in order.
///
/// # Errors
/// When the file cannot be read, has another form or contains no request.
pub(super) fn read(path: &Path) -> Result<Workload, Failure> {
    let input = Input::open(Some(path))?;
    let place = input.place().clone();
    let text = input.read_whole(MAX_WHOLE)?;
    let Entries(workload) = serde_json::from_str(&text).map_err(|e| Failure::json(&place, &e))?;
    if workload.is_empty() {
        return Err(Failure::input(&place, "no request in this workload"));
    }
    Ok(workload)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_keeps_its_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.json");
        let two = r#"{"z":{"query":"q","passages":[]},"a":{"query":"r","passages":["p"]}}"#;
        fs::write(&path, two).unwrap();
        let workload = read(&path).unwrap();
        let names: Vec<_> = workload.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["z", "a"]);
        for bad in [
            "{}",
            "[]",
            "{\"a\":{\"query\":1,\"passages\":[]}}",
            "{\"a\":1",
        ] {
            fs::write(&path, bad).unwrap();
            assert_eq!(read(&path).unwrap_err().exit_code(), 2, "{bad}");
        }
    }
}
