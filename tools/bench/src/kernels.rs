//! Kernels by operation, shape and tier, against the machine's peaks.

use std::time::Duration;

use lanerank::kernels::{Isa, Kernels};
use serde::Serialize;

use crate::Progress;
use crate::cases::{self, Case, Work};
use crate::error::BenchError;
use crate::peaks::Peaks;
use crate::stopwatch::fastest;

const BUDGET: Duration = Duration::from_millis(25);

/// Kernels and the peaks they are compared with.
#[derive(Debug, Serialize)]
pub struct KernelReport {
    /// One per tier.
    pub peaks: Vec<Peaks>,
    /// Ordered by operation, shape and tier.
    pub kernels: Vec<KernelRow>,
}

/// Speed of an operation at a shape on a tier.
#[derive(Debug, Clone, Serialize)]
pub struct KernelRow {
    /// The operation.
    pub op: &'static str,
    /// The model that has this shape.
    pub model: &'static str,
    /// Its sizes.
    pub shape: String,
    /// The tier.
    pub kernels: String,
    /// Microseconds per call, the fastest of many.
    pub us: f64,
    /// Billions of operations a second: two per multiply-add, an estimate for row-wise operations.
    pub gops: f64,
    /// Billions of bytes of operands and results a second, each counted once.
    pub gb_per_s: f64,
    /// Operations per byte of operands and results.
    pub ops_per_byte: f64,
    /// Whether the peak is arithmetic; otherwise it is the second-level cache's bandwidth.
    pub arithmetic: bool,
    /// Share of the peak, if it could be measured.
    pub percent_of_peak: Option<f64>,
}

/// The tiers to measure: that of `LANERANK_ISA`, or all except the reference.
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

/// Measures the cases with `filter` in `op/shape/tier`.
///
/// # Errors
/// When there is none, or `LANERANK_ISA` is wrong.
pub fn measure(filter: &str, progress: Progress<'_>) -> Result<KernelReport, BenchError> {
    let tiers = tiers()?;
    let mut cases = cases::all();
    cases.sort_by_key(|case| case.op);
    let wanted = |case: &Case, tier: &Kernels| {
        format!("{}/{}/{}", case.op, case.shape, tier.isa()).contains(filter)
    };
    cases.retain(|case| tiers.iter().any(|tier| wanted(case, tier)));
    if cases.is_empty() {
        let filter = filter.to_owned();
        return Err(BenchError::NoCase { filter });
    }
    progress(0, cases.len());
    let peaks: Vec<Peaks> = tiers.iter().map(|tier| Peaks::measure(tier)).collect();
    let mut kernels = Vec::new();
    for (done, case) in (1..).zip(&cases) {
        let mut run = case.prepare();
        for (tier, peaks) in tiers.iter().zip(&peaks) {
            if wanted(case, tier) {
                let seconds = fastest(BUDGET, || run(tier));
                kernels.push(KernelRow::new(case, peaks, seconds));
            }
        }
        progress(done, cases.len());
    }
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
