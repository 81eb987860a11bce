//! What this machine could do at best, measured on one thread.

use std::time::Duration;

use lanerank::kernels::Kernels;
use lanerank::kernels::peak::{self, Arithmetic};
use serde::Serialize;

use super::cases::Work;
use super::stopwatch::fastest;
use crate::table::Table;

const BUDGET: Duration = Duration::from_millis(40);
/// Rounds of a loop: some microseconds.
const ROUNDS: u32 = 2000;

/// Memory that is read: its name and size.
const MEMORIES: [(&str, usize); 3] = [
    ("first-level cache", 16 << 10),
    ("second-level cache", 256 << 10),
    ("memory", 128 << 20),
];

/// The ceilings of a tier on this machine; none where the tier has no loops to measure them with.
#[derive(Debug, Clone, Serialize)]
pub struct Peaks {
    /// The tier.
    pub kernels: String,
    /// Billions of operations a second, two a multiply-add: products of bytes, as the tier makes them.
    pub int8_gops: Option<f64>,
    /// The same of 16 bits.
    pub int16_gops: Option<f64>,
    /// The same in f32.
    pub f32_gflops: Option<f64>,
    /// Reading.
    pub bandwidths: Vec<Bandwidth>,
}

/// How fast memory of a size is read.
#[derive(Debug, Clone, Serialize)]
pub struct Bandwidth {
    /// Where memory of that size stays, on most machines.
    pub memory: &'static str,
    /// The size.
    pub bytes: usize,
    /// Billions of bytes a second.
    pub gb_per_s: f64,
}

impl Bandwidth {
    /// The size for people.
    pub fn size(&self) -> String {
        match self.bytes >> 10 {
            kb @ 0..1024 => format!("{kb} KB"),
            kb => format!("{} MB", kb >> 10),
        }
    }
}

impl Peaks {
    /// Measures a tier's.
    pub fn measure(tier: &Kernels) -> Peaks {
        let gops = |arithmetic| {
            let adds = peak::multiply_adds(tier, arithmetic, ROUNDS)?.multiply_adds;
            let seconds = fastest(BUDGET, || {
                std::hint::black_box(peak::multiply_adds(tier, arithmetic, ROUNDS));
            });
            Some(2e-9 * adds as f64 / seconds)
        };
        Peaks {
            kernels: tier.isa().to_string(),
            int8_gops: gops(Arithmetic::Int8),
            int16_gops: gops(Arithmetic::Int16),
            f32_gflops: gops(Arithmetic::F32),
            bandwidths: bandwidths(tier),
        }
    }

    /// The ceiling of a kind of arithmetic, billions of operations a second.
    pub fn gops(&self, arithmetic: Arithmetic) -> Option<f64> {
        match arithmetic {
            Arithmetic::Int8 => self.int8_gops,
            Arithmetic::Int16 => self.int16_gops,
            Arithmetic::F32 => self.f32_gflops,
        }
    }

    /// Seconds that work takes at this ceiling: arithmetic for multiply-adds, else `bytes` out of the
    /// second-level cache.
    pub fn floor(&self, work: Work, bytes: usize) -> Option<f64> {
        match work {
            Work::MultiplyAdds(count, kinds) => {
                let [a, b] = kinds.map(|kind| Some(1.0 / self.gops(kind)?));
                Some(1e-9 * count as f64 * (a? + b?))
            }
            Work::Floats(..) => Some(1e-9 * bytes as f64 / self.bandwidths.get(1)?.gb_per_s),
        }
    }

    /// Tiers below each other.
    pub fn table(all: &[Peaks]) -> Table {
        let mut table = Table::new(&[
            "peaks",
            ">int8 GOP/s",
            ">int16 GOP/s",
            ">f32 GFLOP/s",
            ">GB/s 16 KB",
            ">256 KB",
            ">128 MB",
        ]);
        for peaks in all {
            let number = |x: Option<f64>| x.map_or("-".into(), |x| format!("{x:.1}"));
            let mut cells = vec![peaks.kernels.clone()];
            cells.extend([peaks.int8_gops, peaks.int16_gops, peaks.f32_gflops].map(number));
            let read = |i: usize| peaks.bandwidths.get(i).map(|b: &Bandwidth| b.gb_per_s);
            cells.extend((0..MEMORIES.len()).map(|i| number(read(i))));
            table.row(cells);
        }
        table
    }
}

fn bandwidths(tier: &Kernels) -> Vec<Bandwidth> {
    // Asked first: where there is no loop, the memory is not needed.
    if peak::read(tier, &[]).is_none() {
        return Vec::new();
    }
    let data = vec![
        1_u8;
        MEMORIES
            .map(|(_, bytes)| bytes)
            .into_iter()
            .max()
            .unwrap_or(0)
    ];
    let measure = |(memory, bytes): (&'static str, usize)| {
        let data = &data[..bytes];
        let seconds = fastest(BUDGET, || {
            std::hint::black_box(peak::read(tier, std::hint::black_box(data)));
        });
        Bandwidth {
            memory,
            bytes,
            gb_per_s: 1e-9 * bytes as f64 / seconds,
        }
    };
    MEMORIES.map(measure).into()
}
