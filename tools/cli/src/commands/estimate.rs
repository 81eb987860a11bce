//! `lanerank rerank --estimate`: the predicted cost of a request.

use std::io::{self, Write};

use lanerank::{Estimate, Ranker, RerankOptions};
use serde::Serialize;

use crate::failure::Failure;
use crate::output;

#[derive(Serialize)]
struct Shown {
    passages: usize,
    truncated: usize,
    tokens: usize,
    multiply_adds: u64,
    milliseconds: f64,
    threads: usize,
    kernels: &'static str,
    sampled: usize,
}

/// Prints an estimate.
///
/// # Errors
/// When the sample cannot be scored, or the answer cannot be written.
pub(crate) fn run(ranker: &Ranker, query: &str, texts: &[&str], json: bool) -> Result<(), Failure> {
    let estimate = ranker.estimate(query, texts, &RerankOptions::default())?;
    let kernels = ranker.kernels().isa().name();
    if json {
        output::print(|out| output::write_json(out, &shown(&estimate, kernels)))
    } else {
        output::print(|out| write(out, &estimate, kernels))
    }
}

fn shown(estimate: &Estimate, kernels: &'static str) -> Shown {
    Shown {
        passages: estimate.passages,
        truncated: estimate.truncated,
        tokens: estimate.tokens,
        multiply_adds: estimate.multiply_adds,
        milliseconds: estimate.time.as_secs_f64() * 1e3,
        threads: estimate.threads,
        kernels,
        sampled: estimate.sampled,
    }
}

fn write(out: &mut dyn Write, estimate: &Estimate, kernels: &str) -> io::Result<()> {
    let Estimate {
        passages,
        truncated,
        tokens,
        ..
    } = estimate;
    writeln!(
        out,
        "passages       {passages}, {truncated} of them too long"
    )?;
    writeln!(out, "tokens         {tokens}")?;
    writeln!(out, "multiply-adds  {:.3e}", estimate.multiply_adds as f64)?;
    writeln!(
        out,
        "milliseconds   {:.2} on {} ({kernels}), from {} of the passages",
        estimate.time.as_secs_f64() * 1e3,
        match estimate.threads {
            1 => "1 thread".into(),
            threads => format!("{threads} threads"),
        },
        estimate.sampled,
    )
}
