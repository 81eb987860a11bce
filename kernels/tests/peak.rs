//! The loops that kernels are measured against do what their names say, on every tier. The benches
//! measure how fast.

mod common;

use common::tiers;
use lanerank_kernels::Isa;
use lanerank_kernels::peak::{Arithmetic, multiply_adds, read};

/// What a round adds to a lane, with operands 3 and 3 or 1 and 1, and its multiply-adds.
fn round(isa: Isa, arithmetic: Arithmetic) -> Option<(f32, u64)> {
    use Arithmetic::{F32, Int8, Int16};
    let baseline = cfg!(all(target_arch = "x86_64", not(target_feature = "avx")));
    match (isa, arithmetic) {
        (Isa::Portable, _) if !baseline => None,
        (Isa::Portable, F32) => Some((1.0, 48)),
        (Isa::Portable, _) => Some((18.0, 96)),
        (Isa::Avx2 | Isa::AvxVnni, F32) => Some((1.0, 96)),
        (Isa::AvxVnni, Int8) => Some((36.0, 384)),
        (Isa::Avx2 | Isa::AvxVnni, _) => Some((18.0, 192)),
        (Isa::AmxInt8, Int8) => Some((576.0, 65_536)),
        (Isa::Avx512Vnni | Isa::AmxInt8, F32) => Some((1.0, 192)),
        (Isa::Avx512Vnni | Isa::AmxInt8, Int16) => Some((18.0, 384)),
        (Isa::Avx512Vnni, Int8) => Some((36.0, 768)),
        _ => None,
    }
}

#[test]
fn loops_take_their_steps() {
    for tier in tiers() {
        for arithmetic in [Arithmetic::Int8, Arithmetic::Int16, Arithmetic::F32] {
            let expected = round(tier.isa(), arithmetic);
            for rounds in [0, 1, 7] {
                let done = multiply_adds(tier, arithmetic, rounds);
                let what = format!("{}, {arithmetic:?}, {rounds} rounds", tier.isa());
                assert_eq!(done.is_some(), expected.is_some(), "{what}");
                let (Some(done), Some((lane, each))) = (done, expected) else {
                    continue;
                };
                let actual = match arithmetic {
                    Arithmetic::F32 => f32::from_bits(done.lane),
                    _ => done.lane.cast_signed() as f32,
                };
                assert_eq!(actual, lane * rounds as f32, "{what}");
                assert_eq!(done.multiply_adds, each * u64::from(rounds), "{what}");
            }
        }
    }
}

#[test]
fn reading_leaves_out_less_than_a_block() {
    let data = vec![1; 5000];
    for tier in tiers() {
        let has = round(tier.isa(), Arithmetic::F32).is_some();
        assert_eq!(read(tier, &data), has.then_some(4608), "{}", tier.isa());
        assert_eq!(read(tier, &data[..511]), has.then_some(0));
        assert_eq!(read(tier, &[]), has.then_some(0));
    }
}
