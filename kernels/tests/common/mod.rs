//! Shared by the tests: a small random generator, comparison by bits, and the tiers.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::sync::OnceLock;

use lanerank_emulator::emulate_missing_tiers;
use lanerank_kernels::{Activation, Epilogue, Isa, Kernels};

/// xorshift64: good enough for shapes and values, and the same everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.bits() >> 16) as usize % end
    }

    /// From -1 to 1.
    pub(crate) fn float(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }

    pub(crate) fn floats(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.float()).collect()
    }

    /// Mostly ordinary values, with some of every other kind.
    pub(crate) fn odd_floats(&mut self, len: usize) -> Vec<f32> {
        const ODD: [f32; 12] = [
            0.0,
            -0.0,
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::MAX,
            f32::MIN,
            f32::MIN_POSITIVE,
            1e-45,
            -1e-39,
            1e30,
            -1e-30,
        ];
        let odd = self.below(4) * 4;
        (0..len)
            .map(|_| {
                if self.below(64) < odd {
                    ODD[self.below(ODD.len())]
                } else {
                    self.float() * 4.0
                }
            })
            .collect()
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.bits() as u8).collect()
    }
}

/// Equal bits, or both NaN (whose bits are not part of the contract).
#[track_caller]
pub(crate) fn assert_same(actual: &[f32], expected: &[f32], what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert!(
            a.to_bits() == e.to_bits() || (a.is_nan() && e.is_nan()),
            "{what}: element {i} is {a:e}, not {e:e}"
        );
    }
}

/// `values` at an address that is aligned for their type only.
pub(crate) struct Misaligned<T>(Vec<T>);

impl<T: Clone + Default> Misaligned<T> {
    pub(crate) fn new(values: &[T]) -> Self {
        let mut all = vec![T::default()];
        all.extend_from_slice(values);
        Self(all)
    }

    pub(crate) fn get(&self) -> &[T] {
        &self.0[1..]
    }

    pub(crate) fn get_mut(&mut self) -> &mut [T] {
        &mut self.0[1..]
    }
}

pub(crate) fn reference() -> &'static Kernels {
    Kernels::for_isa(Isa::Reference).unwrap()
}

/// The tiers under test: those of this CPU, and the emulated ones. Fails if `LANERANK_REQUIRE_ISA`
/// (names, separated by commas) names a tier that this build or CPU lacks, or
/// `LANERANK_REQUIRE_EMULATED_ISA` one that is neither there nor emulated: a tier that is silently
/// skipped hides its bugs.
pub(crate) fn tiers() -> Vec<&'static Kernels> {
    static TIERS: OnceLock<Vec<&'static Kernels>> = OnceLock::new();
    let tiers = TIERS.get_or_init(|| {
        require("LANERANK_REQUIRE_ISA");
        emulate_missing_tiers();
        require("LANERANK_REQUIRE_EMULATED_ISA");
        Kernels::available().collect()
    });
    tiers.clone()
}

/// Whether a tier's f32 and f16 products and its attention in floats round a multiplication and an
/// addition once. Then they are only close to the reference; otherwise they have its bits.
pub(crate) fn fuses(tier: &Kernels) -> bool {
    !matches!(tier.isa(), Isa::Reference | Isa::Portable)
}

/// An epilogue without a function.
pub(crate) fn plain(bias: &[f32]) -> Epilogue<'_> {
    let act = Activation::None;
    Epilogue { bias, act }
}

pub(crate) fn is_emulated(tier: &Kernels) -> bool {
    emulate_missing_tiers().contains(&tier.isa())
}

fn require(variable: &str) {
    let required = std::env::var(variable).unwrap_or_default();
    for name in required
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        assert!(
            Kernels::available().any(|tier| tier.isa().name() == name),
            "{variable} names {name}, which cannot run here"
        );
    }
}
