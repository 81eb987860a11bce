//! Kernels by operation, shape and tier, against the machine's peaks.

use std::io::{self, Write};
use std::time::Duration;

use lanerank::kernels::{Isa, Kernels};
use serde::Serialize;

use super::cases::{self, Case, Work};
use super::peaks::Peaks;
use super::stopwatch::fastest;
use crate::failure::Failure;
use crate::output;
use crate::table::Table;

const BUDGET: Duration = Duration::from_millis(25);

/// Peaks, and kernels against them.
#[derive(Debug, Serialize)]
pub struct KernelReport {
    /// One for each tier.
    pub peaks: Vec<Peaks>,
    /// Operation by operation, in each shape by shape, tier by tier.
    pub kernels: Vec<KernelRow>,
}

/// How fast an operation is at a shape on a tier.
#[derive(Debug, Clone, Serialize)]
pub struct KernelRow {
    /// The operation.
    pub op: &'static str,
    /// The model whose shape it is.
    pub model: &'static str,
    /// Its sizes.
    pub shape: String,
    /// The tier.
    pub kernels: String,
    /// Microseconds a call, the fastest of many.
    pub us: f64,
    /// Billions of operations a second: two a multiply-add; of row-wise operations about so many.
    pub gops: f64,
    /// Operands and results, each once, in billions of bytes a second.
    pub gb_per_s: f64,
    /// Operations for each byte of those.
    pub ops_per_byte: f64,
    /// Whether the peak is one of arithmetic; else it is the second-level cache's bandwidth.
    pub arithmetic: bool,
    /// Share of the peak, where there is one to compare with.
    pub percent_of_peak: Option<f64>,
}

/// The tiers to measure: that of `LANERANK_ISA`, or all that are fast.
///
/// # Errors
/// When the variable names no tier of this machine.
pub fn tiers() -> Result<Vec<&'static Kernels>, lanerank::Error> {
    match std::env::var_os("LANERANK_ISA") {
        Some(name) if !name.is_empty() => Ok(vec![Kernels::from_env()?]),
        _ => Ok(Kernels::available()
            .filter(|tier| tier.isa() != Isa::Reference)
            .collect()),
    }
}

/// Measures what has `filter` in `op/shape/tier`.
///
/// # Errors
/// When nothing has, or `LANERANK_ISA` is wrong.
pub fn measure(filter: &str) -> Result<KernelReport, Failure> {
    let tiers = tiers()?;
    let mut cases = cases::all();
    cases.sort_by_key(|case| case.op);
    let wanted = |case: &Case, tier: &Kernels| {
        format!("{}/{}/{}", case.op, case.shape, tier.isa()).contains(filter)
    };
    cases.retain(|case| tiers.iter().any(|tier| wanted(case, tier)));
    if cases.is_empty() {
        let reason = format!("--filter {filter:?}: no operation/shape/tier has that in its name");
        return Err(Failure::Usage(reason));
    }
    let bar = output::progress(cases.len() as u64, "kernels");
    let peaks: Vec<Peaks> = tiers.iter().map(|tier| Peaks::measure(tier)).collect();
    let mut kernels = Vec::new();
    for case in &cases {
        let mut run = case.prepare();
        for (tier, peaks) in tiers.iter().zip(&peaks) {
            if wanted(case, tier) {
                let seconds = fastest(BUDGET, || run(tier));
                kernels.push(KernelRow::new(case, peaks, seconds));
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(KernelReport { peaks, kernels })
}

impl KernelRow {
    fn new(case: &Case, peaks: &Peaks, seconds: f64) -> KernelRow {
        let (operations, arithmetic) = match case.work {
            Work::MultiplyAdds(count, _) => (2 * count, true),
            Work::Floats(count, each) => (count * each, false),
        };
        let floor = peaks.floor(case.work, case.bytes);
        KernelRow {
            op: case.op,
            model: case.model,
            shape: case.shape.clone(),
            kernels: peaks.kernels.clone(),
            us: 1e6 * seconds,
            gops: 1e-9 * operations as f64 / seconds,
            gb_per_s: 1e-9 * case.bytes as f64 / seconds,
            ops_per_byte: operations as f64 / case.bytes as f64,
            arithmetic,
            percent_of_peak: floor.map(|floor| 100.0 * floor / seconds),
        }
    }
}

impl KernelReport {
    /// Writes both tables.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let width = output::terminal_width();
        Peaks::table(&self.peaks).write(out, width)?;
        writeln!(out)?;
        let mut table = Table::new(&[
            "kernel",
            "shape",
            "model",
            "tier",
            ">us",
            ">GOP/s",
            ">GB/s",
            ">% of peak",
        ]);
        for row in &self.kernels {
            let percent = match row.percent_of_peak {
                Some(percent) => format!("{percent:.0}"),
                None => "-".into(),
            };
            // What row-wise operations compute is a rough count, and not what holds them up.
            let gops = match row.arithmetic {
                true => format!("{:.1}", row.gops),
                false => String::new(),
            };
            table.row([
                row.op.to_owned(),
                row.shape.clone(),
                row.model.to_owned(),
                row.kernels.clone(),
                format!("{:.2}", row.us),
                gops,
                format!("{:.1}", row.gb_per_s),
                percent,
            ]);
        }
        table.write(out, width)
    }
}
