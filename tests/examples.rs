//! Runs the examples, which `cargo test` has built.
#![cfg(feature = "embedded-model")]

use std::path::Path;
use std::process::Command;

fn run(name: &str, args: &[&str]) -> String {
    let test = std::env::current_exe().unwrap();
    // target/debug/deps/examples-... and target/debug/examples/NAME
    let folder = test.parent().and_then(Path::parent).unwrap();
    let output = Command::new(folder.join("examples").join(name))
        .args(args)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn examples_print_what_they_say() {
    let ranked = run("rank", &[]);
    assert!(ranked.starts_with("0.5089  The refrigerator"), "{ranked}");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/assets/default.lane");
    let custom = run("custom_model", &[file]);
    assert!(custom.starts_with("2 layers of 128\n"), "{custom}");
    assert!(custom.lines().nth(1).unwrap().ends_with("(0 tokens cut)"));
    let none = run("deadline", &["0"]);
    assert_eq!(none, "scored 0 of 2000 passages\n");
    let all = run("deadline", &["600000"]);
    assert!(all.starts_with("scored 2000 of 2000 passages\n"), "{all}");
    assert_eq!(all.lines().count(), 4);
    let explained = run("explain", &[]);
    assert!(explained.starts_with("logit +"), "{explained}");
    assert!(explained.contains("  bread\n"), "{explained}");
    let products = run("kernels", &[]);
    let (_, numbers) = products.split_once('[').unwrap();
    let numbers = numbers.trim_end().trim_end_matches(']').split(", ");
    for (number, exact) in numbers.zip([-5.0, -1.0, 3.0, -2.0, 0.0, 2.0]) {
        let number: f32 = number.parse().unwrap();
        assert!((number - exact).abs() < 0.1, "{products}");
    }
}
