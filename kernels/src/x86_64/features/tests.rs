//! Made-up machines, with the answers that their manuals describe.

use std::arch::x86_64::CpuidResult;

use super::{Answers, Features};

const AVX_STATE: u64 = 0b111;
const AVX512_STATE: u64 = 0b1110_0111;
const TILE_STATE: u64 = 0b11 << 17;

const fn registers(eax: u32, ebx: u32, ecx: u32, edx: u32) -> CpuidResult {
    CpuidResult { eax, ebx, ecx, edx }
}

/// FMA, XSAVE, OSXSAVE, AVX, F16C.
const LEAF_1: CpuidResult = registers(0, 0, 1 << 12 | 0b1111 << 26, 0);

const NEHALEM: Answers = Answers {
    // SSE 4.2 and POPCNT only.
    leaf_1: registers(0, 0, 1 << 20 | 1 << 23, 0),
    ..Answers::NONE
};

const HASWELL: Answers = Answers {
    leaf_1: LEAF_1,
    leaf_7: registers(0, 1 << 5, 0, 0),
    xcr0: AVX_STATE,
    ..Answers::NONE
};

/// AVX-512 without VNNI.
const SKYLAKE_X: Answers = Answers {
    leaf_7: registers(0, 1 << 5 | 0b11 << 16 | 1 << 28 | 0b11 << 30, 0, 0),
    xcr0: AVX512_STATE,
    ..HASWELL
};

/// VNNI without AMX.
const CASCADE_LAKE: Answers = Answers {
    leaf_7: registers(0, SKYLAKE_X.leaf_7.ebx, 1 << 11, 0),
    ..SKYLAKE_X
};

/// AVX-VNNI without AVX-512.
const ALDER_LAKE: Answers = Answers {
    leaf_7: registers(1, 1 << 5, 0, 0),
    leaf_7_1: registers(1 << 4, 0, 0, 0),
    ..HASWELL
};

const SAPPHIRE_RAPIDS: Answers = Answers {
    leaf_7: registers(1, CASCADE_LAKE.leaf_7.ebx, 1 << 11, 0b1101 << 22),
    leaf_7_1: registers(0b11 << 4, 0, 0, 0),
    leaf_1d: registers(1, 0, 0, 0),
    leaf_1d_1: registers(1024 << 16 | 8192, 8 << 16 | 64, 16, 0),
    leaf_1e: registers(0, 64 << 8 | 16, 0, 0),
    xcr0: AVX512_STATE | TILE_STATE,
    ..CASCADE_LAKE
};

/// avx2, avx_vnni, avx512_vnni, amx_int8, for a system that permits tiles.
fn tiers(answers: &Answers) -> [bool; 4] {
    let features = Features::new(answers);
    [
        features.run_avx2(),
        features.run_avx_vnni(),
        features.run_avx512_vnni(),
        features.run_amx_int8(|| true),
    ]
}

#[test]
fn machines() {
    for (name, machine, expected) in [
        ("none", Answers::NONE, [false; 4]),
        ("Nehalem", NEHALEM, [false; 4]),
        ("Haswell", HASWELL, [true, false, false, false]),
        ("Skylake-X", SKYLAKE_X, [true, false, false, false]),
        ("Cascade Lake", CASCADE_LAKE, [true, false, true, false]),
        ("Alder Lake", ALDER_LAKE, [true, true, false, false]),
        ("Sapphire Rapids", SAPPHIRE_RAPIDS, [true; 4]),
    ] {
        assert_eq!(tiers(&machine), expected, "{name}");
    }
}

#[test]
fn registers_that_are_not_saved() {
    let with_xcr0 = |xcr0| {
        tiers(&Answers {
            xcr0,
            ..SAPPHIRE_RAPIDS
        })
    };
    let all = AVX512_STATE | TILE_STATE;
    for (missing, expected) in [
        (0, [true; 4]),
        (17, [true, true, true, false]),
        (18, [true, true, true, false]),
        (5, [true, true, false, false]),
        (6, [true, true, false, false]),
        (7, [true, true, false, false]),
        (2, [false; 4]),
        (1, [false; 4]),
    ] {
        assert_eq!(with_xcr0(all & !(1 << missing)), expected, "bit {missing}");
    }
    assert_eq!(with_xcr0(0), [false; 4]);
}

#[test]
fn each_feature_counts() {
    let without = |change: fn(&mut Answers)| {
        let mut machine = SAPPHIRE_RAPIDS;
        change(&mut machine);
        tiers(&machine)
    };
    let nothing = [false; 4];
    assert_eq!(without(|x| x.leaf_1.ecx &= !(1 << 28)), nothing, "AVX");
    assert_eq!(without(|x| x.leaf_1.ecx &= !(1 << 12)), nothing, "FMA");
    assert_eq!(without(|x| x.leaf_1.ecx &= !(1 << 29)), nothing, "F16C");
    assert_eq!(without(|x| x.leaf_7.ebx &= !(1 << 5)), nothing, "AVX2");
    let no_avx512 = [true, true, false, false];
    for bit in [16, 17, 30, 31] {
        let mut machine = SAPPHIRE_RAPIDS;
        machine.leaf_7.ebx &= !(1 << bit);
        assert_eq!(tiers(&machine), no_avx512, "leaf 7, ebx, bit {bit}");
    }
    assert_eq!(without(|x| x.leaf_7.ecx = 0), no_avx512, "AVX-512 VNNI");
    let no_avx_vnni = [true, false, true, true];
    assert_eq!(without(|x| x.leaf_7_1.eax = 0), no_avx_vnni, "AVX-VNNI");
    let no_tiles = [true, true, true, false];
    assert_eq!(without(|x| x.leaf_7.edx &= !(1 << 24)), no_tiles, "tiles");
    assert_eq!(without(|x| x.leaf_7.edx &= !(1 << 25)), no_tiles, "int8");
    let other_tiles: [fn(&mut Answers); 8] = [
        |x| x.leaf_1d.eax = 0,
        |x| x.leaf_1d_1.eax = 1024 << 16 | 4096,
        |x| x.leaf_1d_1.eax = 512 << 16 | 8192,
        |x| x.leaf_1d_1.ebx = 8 << 16 | 32,
        |x| x.leaf_1d_1.ebx = 4 << 16 | 64,
        |x| x.leaf_1d_1.ecx = 8,
        |x| x.leaf_1e.ebx = 64 << 8 | 8,
        |x| x.leaf_1e.ebx = 32 << 8 | 16,
    ];
    for change in other_tiles {
        assert_eq!(without(change), no_tiles, "geometry");
    }
}

#[test]
fn the_operating_system_is_asked_last_and_may_refuse() {
    assert!(!Features::new(&SAPPHIRE_RAPIDS).run_amx_int8(|| false));
    for machine in [Answers::NONE, HASWELL, CASCADE_LAKE, ALDER_LAKE] {
        let asked = || panic!("asked for tiles on a CPU without them");
        assert!(!Features::new(&machine).run_amx_int8(asked));
    }
}

/// The standard library reads the same answers on its own.
#[test]
fn this_machine_as_the_standard_library_sees_it() {
    let features = Features::detect();
    let expected = Features {
        avx2: is_x86_feature_detected!("avx2"),
        fma: is_x86_feature_detected!("fma"),
        f16c: is_x86_feature_detected!("f16c"),
        avx_vnni: is_x86_feature_detected!("avxvnni"),
        avx512f: is_x86_feature_detected!("avx512f"),
        avx512bw: is_x86_feature_detected!("avx512bw"),
        avx512vl: is_x86_feature_detected!("avx512vl"),
        avx512dq: is_x86_feature_detected!("avx512dq"),
        avx512vnni: is_x86_feature_detected!("avx512vnni"),
        // Its name for tiles is not stable.
        amx_int8: features.amx_int8,
    };
    assert_eq!(features, expected);
}
