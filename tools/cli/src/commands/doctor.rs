//! `lanerank doctor`: what a bug report has to say of the machine and the program.

mod machine;

use std::io::{self, Write};

use clap::Args;
use lanerank::default_model;
use lanerank::format::checksum::xxh64;
use lanerank::kernels::Kernels;
use serde::Serialize;

use super::arguments::model::embedded;
use crate::failure::Failure;
use crate::output;
use machine::{Machine, Tier};

/// Features of the build, and whether it has them.
const FEATURES: [(&str, bool); 7] = [
    ("bench", cfg!(feature = "bench")),
    ("embedded-model", cfg!(feature = "embedded-model")),
    ("hub", cfg!(feature = "hub")),
    ("onnx", cfg!(feature = "onnx")),
    ("rayon", cfg!(feature = "rayon")),
    ("serve", cfg!(feature = "serve")),
    ("shell", cfg!(feature = "shell")),
];
/// Settings that change what lanerank does.
const VARIABLES: [&str; 4] = [
    "LANERANK_CACHE",
    "LANERANK_ISA",
    "LANERANK_MODEL",
    "RAYON_NUM_THREADS",
];

/// Say what a bug report needs: version, CPU, tiers, memory, cache, and a self-test
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Write a JSON object
    #[arg(long)]
    json: bool,
}

/// The answer.
#[derive(Serialize)]
struct Report {
    version: &'static str,
    optimised: bool,
    features: Vec<&'static str>,
    missing_features: Vec<&'static str>,
    #[serde(flatten)]
    machine: Machine,
    /// The tier that runs, and all tiers.
    tier: Option<&'static str>,
    tiers: Vec<Tier>,
    environment: Vec<(&'static str, String)>,
    cache: Option<Cache>,
    default_model: Option<DefaultModel>,
    /// What is wrong.
    problems: Vec<String>,
}

/// The folder of converted models.
#[derive(Serialize)]
struct Cache {
    folder: String,
    bytes: u64,
    files: u64,
}

/// The model inside the program.
#[derive(Serialize)]
struct DefaultModel {
    bytes: usize,
    /// Of the whole file, as `xxhsum -H64` prints it.
    xxh64: String,
    self_test_rows: usize,
}

/// Runs the command.
///
/// # Errors
/// When something is wrong, after the report; or when the report cannot be written.
pub fn run(args: &DoctorArgs) -> Result<(), Failure> {
    let report = report();
    output::print(|out| {
        if args.json {
            output::write_json(out, &report)
        } else {
            write(out, &report)
        }
    })?;
    match &report.problems[..] {
        [] => Ok(()),
        problems => Err(Failure::Failed(problems.join("; "))),
    }
}

fn report() -> Report {
    let with = |built: bool| {
        let chosen = FEATURES.iter().filter(move |(_, has)| *has == built);
        chosen.map(|(name, _)| *name).collect()
    };
    let machine = Machine::of_this();
    let mut problems = Vec::new();
    let mut told = |result: Result<_, String>| result.map_err(|e| problems.push(e)).ok();
    let kernels = told(
        Kernels::from_env()
            .map_err(|e| format!("LANERANK_ISA: {e}; unset it, or name a tier that runs here")),
    );
    let default_model = default_model::FILE.and_then(|file| {
        let kernels = kernels.unwrap_or_else(Kernels::best);
        match check(file, kernels) {
            Ok(checked) => Some(checked),
            Err(e) => {
                problems.push(format!("the default model: {e}; build or install it again"));
                None
            }
        }
    });
    Report {
        version: env!("CARGO_PKG_VERSION"),
        optimised: !cfg!(debug_assertions),
        features: with(true),
        missing_features: with(false),
        tier: kernels.map(|kernels| kernels.isa().name()),
        tiers: machine.tiers(),
        machine,
        environment: VARIABLES
            .into_iter()
            .filter_map(|name| {
                let value = std::env::var_os(name)?;
                Some((name, value.to_string_lossy().into_owned()))
            })
            .collect(),
        cache: cache(),
        default_model,
        problems,
    }
}

/// Verifies everything of the default model.
fn check(file: &[u8], kernels: &Kernels) -> Result<DefaultModel, Failure> {
    let report = embedded()?.check(kernels)?;
    Ok(DefaultModel {
        bytes: file.len(),
        xxh64: format!("{:016x}", xxh64(file)),
        self_test_rows: report.computed.len(),
    })
}

/// The cache, if there are settings for one.
#[cfg(feature = "hub")]
fn cache() -> Option<Cache> {
    let folder = lanerank_convert::hub::Settings::from_env().ok()?.converted;
    let (bytes, files) = machine::size_of(&folder);
    Some(Cache {
        folder: folder.display().to_string(),
        bytes,
        files,
    })
}

/// Without the hub nothing is cached.
#[cfg(not(feature = "hub"))]
fn cache() -> Option<Cache> {
    None
}

fn write(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let machine = &report.machine;
    let mut line = |name: &str, value: &str| {
        let value = if value.is_empty() { "unknown" } else { value };
        writeln!(out, "{name:<16}{}", output::one_line(value))
    };
    let list = |items: &[&str]| match items {
        [] => "none".to_owned(),
        items => items.join(", "),
    };
    let build = if report.optimised {
        "optimised"
    } else {
        "debug"
    };
    line("lanerank", &format!("{}, {build} build", report.version))?;
    line("features", &list(&report.features))?;
    line("  not built", &list(&report.missing_features))?;
    line("system", &machine.system)?;
    line("CPU", machine.cpu.as_deref().unwrap_or_default())?;
    line("CPUs", &machine.cpus())?;
    line("memory", &machine.memory())?;
    for tier in report.tiers.iter().rev() {
        let runs = if report.tier == Some(tier.name) {
            "runs, and is used".to_owned()
        } else {
            tier.explained()
        };
        line(&format!("  {}", tier.name), &runs)?;
    }
    for (name, value) in &report.environment {
        line(&format!("{name} "), value)?;
    }
    if let Some(cache) = &report.cache {
        let mib = cache.bytes as f64 / f64::from(1 << 20);
        line(
            "cache",
            &format!("{}: {} files, {mib:.1} MiB", cache.folder, cache.files),
        )?;
    }
    if let Some(model) = &report.default_model {
        let facts = format!(
            "{} bytes, xxh64 {}; checksums and self-test of {} pairs passed",
            model.bytes, model.xxh64, model.self_test_rows
        );
        line("default model", &facts)?;
    }
    Ok(())
}
