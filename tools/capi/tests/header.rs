//! The committed header is the one that cbindgen generates.

use std::fs;
use std::path::Path;

/// `LANERANK_WRITE_HEADER=1 cargo test -p lanerank-capi --test header` writes the header.
#[test]
fn the_header_is_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(folder.join("cbindgen.toml")).unwrap();
    let sources = ["error", "open", "score", "text"];
    let builder = sources
        .iter()
        .fold(cbindgen::Builder::new(), |builder, name| {
            builder.with_src(folder.join(format!("src/{name}.rs")))
        });
    let mut header = Vec::new();
    let bindings = builder.with_config(config).generate().unwrap();
    bindings.write(&mut header);
    let path = folder.join("include/lanerank.h");
    if std::env::var_os("LANERANK_WRITE_HEADER").is_some() {
        fs::write(&path, &header).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(committed, String::from_utf8(header).unwrap());
}
