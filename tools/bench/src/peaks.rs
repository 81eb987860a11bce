//! Peak arithmetic and bandwidth of this machine, measured on one thread.

use std::time::Duration;

use lanerank::kernels::Kernels;
use lanerank::kernels::peak::{self, Arithmetic};
use serde::Serialize;

use crate::cases::Work;
use crate::stopwatch::fastest;

const BUDGET: Duration = Duration::from_millis(40);
/// Rounds of a loop: a few microseconds.
const ROUNDS: u32 = 2000;

/// Memories to read: name and size.
pub const MEMORIES: [(&str, usize); 3] = [
    ("first-level cache", 16 << 10),
    ("second-level cache", 256 << 10),
    ("memory", 128 << 20),
];

/// Peaks of a tier on this machine; `None` where the tier has no loop to measure them with.
#[derive(Debug, Clone, Serialize)]
pub struct Peaks {
    /// The tier.
    pub kernels: String,
    /// Products of bytes, in billions of operations a second; a multiply-add is two operations.
    pub int8_gops: Option<f64>,
    /// Products of 16 bits, likewise.
    pub int16_gops: Option<f64>,
    /// Products in f32, likewise.
    pub f32_gflops: Option<f64>,
    /// Read bandwidths.
    pub bandwidths: Vec<Bandwidth>,
}

/// Read bandwidth of a block of memory.
#[derive(Debug, Clone, Serialize)]
pub struct Bandwidth {
    /// Where a block of this size resides on most machines.
    pub memory: &'static str,
    /// The size of the block.
    pub bytes: usize,
    /// Billions of bytes a second.
    pub gb_per_s: f64,
}

impl Bandwidth {
    /// The size, for display.
    pub fn size(&self) -> String {
        match self.bytes >> 10 {
            kb @ 0..1024 => format!("{kb} KB"),
            kb => format!("{} MB", kb >> 10),
        }
    }
}

impl Peaks {
    /// Measures a tier.
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

    /// The peak of a kind of arithmetic, in billions of operations a second.
    pub fn gops(&self, arithmetic: Arithmetic) -> Option<f64> {
        match arithmetic {
            Arithmetic::Int8 => self.int8_gops,
            Arithmetic::Int16 => self.int16_gops,
            Arithmetic::F32 => self.f32_gflops,
        }
    }

    /// Least seconds of some work: multiply-adds at the arithmetic peak, other work by reading
    /// `bytes` from the second-level cache.
    pub fn floor(&self, work: Work, bytes: usize) -> Option<f64> {
        match work {
            Work::MultiplyAdds(count, kinds) => {
                let [a, b] = kinds.map(|kind| Some(1.0 / self.gops(kind)?));
                Some(1e-9 * count as f64 * (a? + b?))
            }
            Work::Floats(..) => Some(1e-9 * bytes as f64 / self.bandwidths.get(1)?.gb_per_s),
        }
    }
}

fn bandwidths(tier: &Kernels) -> Vec<Bandwidth> {
    // Without a loop to measure with, do not allocate the memory.
    if peak::read(tier, &[]).is_none() {
        return Vec::new();
    }
    let largest = MEMORIES.map(|(_, bytes)| bytes).into_iter().max();
    let data = vec![1_u8; largest.unwrap_or(0)];
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
