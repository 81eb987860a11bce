//! Every tier against the reference, bit for bit, and each row alone against the row among others.

mod common;

use common::{Misaligned, Random, assert_same, fuses, is_emulated, plain, reference, tiers};
use half::f16;
use lanerank_kernels::layout::{
    MAX_K, PackedF16, PackedF32, PackedI8, column_sums, pack_f16, pack_f32, pack_i8, padded_k,
};
use lanerank_kernels::{
    Activation, Epilogue, GemmFloat, GemmI8, GemmI8A16, Isa, Kernels, LayerNorm, QuantizeI16,
    QuantizeU8, RowQuant, Rows, RowsI16, RowsI16Mut, RowsU8, RowsU8Mut,
};

const ACTIVATIONS: [Activation; 6] = [
    Activation::None,
    Activation::Gelu,
    Activation::GeluCoarse,
    Activation::GeluTanh,
    Activation::Relu,
    Activation::Tanh,
];

/// One test per property, each run on every tier with many seeds.
macro_rules! properties {
    ($($name:ident: $seeds:expr),* $(,)?) => {
        $(#[test]
        fn $name() {
            for tier in tiers() {
                let seeds = if is_slow(tier) { $seeds / 5 } else { $seeds };
                for seed in 0..seeds {
                    let what = format!("{}, seed {seed}", tier.isa());
                    check::$name(tier, &mut Random::new(seed + 1), &what);
                }
            }
        })*
    };
}

properties! {
    quantize_u8: 200,
    quantize_i16: 200,
    gemm_i8: 200,
    gemm_i8_a16: 100,
    gemm_float: 120,
    gemm_rows_are_independent: 30,
    layer_norm: 200,
    elementwise: 300,
}

/// Whether each few products cost a signal.
fn is_slow(tier: &Kernels) -> bool {
    tier.isa() == Isa::AvxVnni && is_emulated(tier)
}

/// A shape up to 33 rows, 100 channels, depth 200. Some are deep, some have depth 0, some have more
/// rows than the tiers without products of bytes take at a time.
fn shape(random: &mut Random) -> (usize, usize, usize) {
    let (mut m, n) = (random.below(34), 1 + random.below(100));
    let mut k = 1 + random.below(200);
    match random.below(32) {
        0 | 1 => k = 300 + random.below(1900),
        2 => k = 0,
        3 => m = 73 + random.below(100),
        _ => {}
    }
    (m, n, k)
}

struct I8 {
    a: Misaligned<u8>,
    low: Vec<u8>,
    params: Vec<RowQuant>,
    scales: Vec<f32>,
    weights: Misaligned<i8>,
    weight_scales: Vec<f32>,
    sums: Vec<i32>,
    bias: Vec<f32>,
    act: Activation,
    shape: (usize, usize, usize),
}

impl I8 {
    fn new(random: &mut Random, (m, n, k): (usize, usize, usize)) -> Self {
        // Every fourth matrix is at an extreme, where 16-bit sums would saturate.
        let extreme = random.below(4) == 0;
        let (byte, weight) = (
            [0, 255, 1][random.below(3)],
            [-128, -127, 127, 0][random.below(4)],
        );
        let a = random
            .bytes(m * padded_k(k))
            .into_iter()
            .map(|q| if extreme { byte } else { q });
        let w: Vec<i8> = random
            .bytes(n * k)
            .into_iter()
            .map(|q| if extreme { weight } else { q as i8 })
            .collect();
        Self {
            a: Misaligned::new(&a.collect::<Vec<_>>()),
            low: random.bytes(m * padded_k(k)),
            params: (0..m)
                .map(|_| RowQuant {
                    scale: random.float() * 0.01,
                    zero: random.below(256) as i32,
                })
                .collect(),
            scales: random.floats(m),
            weights: Misaligned::new(&pack_i8(&w, n, k)),
            weight_scales: random.floats(n),
            sums: column_sums(&w, n, k),
            bias: random.floats(n),
            act: ACTIVATIONS[random.below(6)],
            shape: (m, n, k),
        }
    }

    /// The same weights with one of the rows.
    fn row(&self, i: usize) -> Self {
        let (_, n, k) = self.shape;
        let bytes = i * padded_k(k)..(i + 1) * padded_k(k);
        Self {
            a: Misaligned::new(&self.a.get()[bytes.clone()]),
            low: self.low[bytes].to_vec(),
            params: vec![self.params[i]],
            scales: vec![self.scales[i]],
            weights: Misaligned::new(self.weights.get()),
            weight_scales: self.weight_scales.clone(),
            sums: self.sums.clone(),
            bias: self.bias.clone(),
            act: self.act,
            shape: (1, n, k),
        }
    }

    fn weights(&self) -> PackedI8<'_> {
        let (_, n, k) = self.shape;
        PackedI8::new(n, k, self.weights.get(), &self.weight_scales, &self.sums).unwrap()
    }

    fn epilogue(&self) -> Epilogue<'_> {
        Epilogue {
            bias: &self.bias,
            act: self.act,
        }
    }

    fn product(&self, tier: &Kernels) -> Vec<f32> {
        let (m, n, _) = self.shape;
        let mut out = Misaligned::new(&vec![f32::NAN; m * n]);
        tier.gemm_i8(GemmI8 {
            a: RowsU8 {
                data: self.a.get(),
                params: &self.params,
            },
            b: self.weights(),
            epilogue: self.epilogue(),
            out: out.get_mut(),
        });
        out.get().to_vec()
    }

    fn product_a16(&self, tier: &Kernels) -> Vec<f32> {
        let (m, n, _) = self.shape;
        let mut out = vec![f32::NAN; m * n];
        tier.gemm_i8_a16(GemmI8A16 {
            a: RowsI16 {
                high: self.a.get(),
                low: &self.low,
                scales: &self.scales,
            },
            b: self.weights(),
            epilogue: self.epilogue(),
            out: &mut out,
        });
        out
    }
}

struct Float {
    a: Misaligned<f32>,
    /// f32 and f16, packed.
    weights: Misaligned<f32>,
    halves: Misaligned<f16>,
    bias: Vec<f32>,
    shape: (usize, usize, usize),
}

impl Float {
    fn new(random: &mut Random, (m, n, k): (usize, usize, usize), odd: bool) -> Self {
        let mut floats = |len| {
            if odd {
                random.odd_floats(len)
            } else {
                random.floats(len)
            }
        };
        let (a, w) = (floats(m * k), floats(n * k));
        let halves: Vec<f16> = w.iter().map(|&w| f16::from_f32(w)).collect();
        Self {
            a: Misaligned::new(&a),
            weights: Misaligned::new(&pack_f32(&w, n, k)),
            halves: Misaligned::new(&pack_f16(&halves, n, k)),
            bias: random.floats(n),
            shape: (m, n, k),
        }
    }

    /// The same weights with one of the rows.
    fn row(&self, i: usize) -> Self {
        let (_, n, k) = self.shape;
        Self {
            a: Misaligned::new(&self.a.get()[i * k..][..k]),
            weights: Misaligned::new(self.weights.get()),
            halves: Misaligned::new(self.halves.get()),
            bias: self.bias.clone(),
            shape: (1, n, k),
        }
    }

    /// With f32 and with f16 weights.
    fn products(&self, tier: &Kernels, act: Activation) -> [Vec<f32>; 2] {
        let (m, n, k) = self.shape;
        let [mut f32_out, mut f16_out] = [(); 2].map(|()| vec![f32::NAN; m * n]);
        let (data, bias) = (self.a.get(), &self.bias);
        let (a, epilogue) = (Rows { data, m, k }, Epilogue { bias, act });
        tier.gemm_f32(GemmFloat {
            a,
            b: PackedF32::new(n, k, self.weights.get()).unwrap(),
            epilogue,
            out: &mut f32_out,
        });
        tier.gemm_f16(GemmFloat {
            a,
            b: PackedF16::new(n, k, self.halves.get()).unwrap(),
            epilogue,
            out: &mut f16_out,
        });
        [f32_out, f16_out]
    }

    /// For each output, the sum of the magnitudes of its terms.
    fn magnitudes(&self) -> Vec<f32> {
        let (m, n, k) = self.shape;
        let abs = |x: &[f32]| x.iter().map(|x| x.abs()).collect::<Vec<_>>();
        let (a, w, bias) = (abs(self.a.get()), abs(self.weights.get()), abs(&self.bias));
        let mut out = vec![0.0; m * n];
        reference().gemm_f32(GemmFloat {
            a: Rows { data: &a, m, k },
            b: PackedF32::new(n, k, &w).unwrap(),
            epilogue: plain(&bias),
            out: &mut out,
        });
        out
    }
}

mod check {
    use super::*;

    pub(crate) fn quantize_u8(tier: &Kernels, random: &mut Random, what: &str) {
        let (m, _, k) = shape(random);
        let x = Misaligned::new(&random.odd_floats(m * k));
        let scale = (random.below(2) == 0).then(|| random.floats(k));
        let run = |tier: &Kernels| {
            let mut out = vec![77; m * padded_k(k)];
            let mut params = vec![RowQuant::default(); m];
            let data = x.get();
            tier.quantize_u8(QuantizeU8 {
                x: Rows { data, m, k },
                scale: scale.as_deref(),
                out: RowsU8Mut {
                    data: &mut out,
                    params: &mut params,
                },
            });
            (out, params)
        };
        let ((out, params), (expected, expected_params)) = (run(tier), run(reference()));
        assert_eq!(out, expected, "{what}");
        for (p, e) in params.iter().zip(&expected_params) {
            assert_same(&[p.scale], &[e.scale], what);
            assert_eq!(p.zero, e.zero, "{what}");
        }
    }

    pub(crate) fn quantize_i16(tier: &Kernels, random: &mut Random, what: &str) {
        let (m, _, k) = shape(random);
        let x = Misaligned::new(&random.odd_floats(m * k));
        let scale = (random.below(2) == 0).then(|| random.floats(k));
        let run = |tier: &Kernels| {
            let len = m * padded_k(k);
            let (mut high, mut low, mut scales) = (vec![7; len], vec![7; len], vec![7.0; m]);
            let data = x.get();
            tier.quantize_i16(QuantizeI16 {
                x: Rows { data, m, k },
                scale: scale.as_deref(),
                out: RowsI16Mut {
                    high: &mut high,
                    low: &mut low,
                    scales: &mut scales,
                },
            });
            (high, low, scales)
        };
        let (actual, expected) = (run(tier), run(reference()));
        assert_eq!((actual.0, actual.1), (expected.0, expected.1), "{what}");
        assert_same(&actual.2, &expected.2, what);
    }

    pub(crate) fn gemm_i8(tier: &Kernels, random: &mut Random, what: &str) {
        let shape = shape(random);
        let case = I8::new(random, shape);
        assert_same(&case.product(tier), &case.product(reference()), what);
    }

    pub(crate) fn gemm_i8_a16(tier: &Kernels, random: &mut Random, what: &str) {
        let shape = shape(random);
        let case = I8::new(random, shape);
        assert_same(
            &case.product_a16(tier),
            &case.product_a16(reference()),
            what,
        );
    }

    pub(crate) fn gemm_float(tier: &Kernels, random: &mut Random, what: &str) {
        let shape = shape(random);
        let case = Float::new(random, shape, !fuses(tier));
        let act = ACTIVATIONS[random.below(6)];
        let (actual, expected) = (case.products(tier, act), case.products(reference(), act));
        if !fuses(tier) {
            assert_same(&actual[0], &expected[0], what);
            assert_same(&actual[1], &expected[1], what);
            return;
        }
        let plain = case.products(tier, Activation::None);
        let expected = case.products(reference(), Activation::None);
        let magnitudes = case.magnitudes();
        for dtype in 0..2 {
            for ((a, e), magnitude) in plain[dtype].iter().zip(&expected[dtype]).zip(&magnitudes) {
                assert!(
                    (a - e).abs() <= 1e-4 * magnitude,
                    "{what}: {a:e}, not {e:e}"
                );
            }
            let mut active = plain[dtype].clone();
            tier.activate(act, &mut active);
            assert_same(&actual[dtype], &active, what);
        }
    }

    pub(crate) fn gemm_rows_are_independent(tier: &Kernels, random: &mut Random, what: &str) {
        let (m, n, k) = (
            7 + random.below(20),
            1 + random.below(40),
            1 + random.below(400),
        );
        let (case, float) = (
            I8::new(random, (m, n, k)),
            Float::new(random, (m, n, k), false),
        );
        let (eight, sixteen) = (case.product(tier), case.product_a16(tier));
        let floats = float.products(tier, case.act);
        for i in 0..m {
            let outputs = i * n..(i + 1) * n;
            let (one, one_float) = (case.row(i), float.row(i));
            assert_same(&one.product(tier), &eight[outputs.clone()], what);
            assert_same(&one.product_a16(tier), &sixteen[outputs.clone()], what);
            for (one, all) in one_float.products(tier, case.act).iter().zip(&floats) {
                assert_same(one, &all[outputs.clone()], what);
            }
        }
    }

    pub(crate) fn layer_norm(tier: &Kernels, random: &mut Random, what: &str) {
        let (m, n, _) = shape(random);
        let (x, delta) = (random.odd_floats(m * n), random.floats(m * n));
        let (weight, bias) = (random.floats(n), Misaligned::new(&random.floats(n)));
        let run = |tier: &Kernels| {
            let norm = |x, delta| LayerNorm {
                x,
                delta,
                weight: &weight,
                bias: bias.get(),
                eps: 1e-12,
            };
            let (mut plain, mut added) = (Misaligned::new(&x), x.clone());
            tier.layer_norm(norm(plain.get_mut(), None));
            tier.layer_norm(norm(&mut added, Some(&delta)));
            [plain.get(), &added].concat()
        };
        assert_same(&run(tier), &run(reference()), what);
    }

    pub(crate) fn elementwise(tier: &Kernels, random: &mut Random, what: &str) {
        let len = random.below(100);
        let (x, y) = (random.odd_floats(len), random.odd_floats(len));
        let bytes: Vec<i8> = random.bytes(len).into_iter().map(|b| b as i8).collect();
        let halves: Vec<f16> = (0..len)
            .map(|_| f16::from_bits(random.bits() as u16))
            .collect();
        let (scale, act) = (random.float(), ACTIVATIONS[random.below(6)]);
        let run = |tier: &Kernels| {
            let (mut soft, mut active) = (Misaligned::new(&x), Misaligned::new(&x));
            let (mut added, mut wide) = (Misaligned::new(&x), Misaligned::new(&x));
            tier.softmax(soft.get_mut());
            tier.activate(act, active.get_mut());
            tier.add_scaled_i8(&bytes, scale, added.get_mut());
            tier.widen_f16(&halves, wide.get_mut());
            [
                soft.get(),
                active.get(),
                added.get(),
                wide.get(),
                &[tier.dot(&x, &y)],
            ]
            .concat()
        };
        assert_same(&run(tier), &run(reference()), what);
    }
}

/// More rows than are computed at a time, and deeper.
#[test]
fn many_deep_rows() {
    let (random, shape) = (&mut Random::new(1), (83, 17, 4100));
    let (case, float) = (I8::new(random, shape), Float::new(random, shape, false));
    let (eight, sixteen) = (case.product(reference()), case.product_a16(reference()));
    let floats = float.products(reference(), Activation::None);
    let magnitudes = float.magnitudes();
    for tier in tiers() {
        let what = tier.isa().name();
        assert_same(&case.product(tier), &eight, what);
        if !is_slow(tier) {
            assert_same(&case.product_a16(tier), &sixteen, what);
        }
        let actual = float.products(tier, Activation::None).concat();
        for (i, (a, e)) in actual.iter().zip(&floats.concat()).enumerate() {
            let bound = if fuses(tier) { 1e-4 } else { 0.0 };
            let magnitude = magnitudes[i % magnitudes.len()];
            assert!(
                (a - e).abs() <= bound * magnitude,
                "{what}: {a:e}, not {e:e}"
            );
        }
    }
}

/// Activations over floats of every magnitude and sign.
#[test]
fn activations_over_all_magnitudes() {
    for tier in tiers() {
        for act in ACTIVATIONS {
            let x: Vec<f32> = (0..=u32::MAX).step_by(4099).map(f32::from_bits).collect();
            let (mut actual, mut expected) = (x.clone(), x);
            tier.activate(act, &mut actual);
            reference().activate(act, &mut expected);
            assert_same(&actual, &expected, &format!("{} {act:?}", tier.isa()));
        }
    }
}

/// The largest sums that the format allows stay exact.
#[test]
fn deepest_product() {
    let k = MAX_K;
    let (w, scales) = (vec![-128; k], [1.0]);
    let (packed, sums) = (pack_i8(&w, 1, k), column_sums(&w, 1, k));
    let b = PackedI8::new(1, k, &packed, &scales, &sums).unwrap();
    for tier in tiers() {
        for (q, zero, expected) in [
            (255, 0, -2_139_095_040.0),
            (0, 255, 2_139_095_040.0),
            (255, 255, 0.0),
        ] {
            let mut out = [0.0];
            tier.gemm_i8(GemmI8 {
                a: RowsU8 {
                    data: &vec![q; k],
                    params: &[RowQuant { scale: 1.0, zero }],
                },
                b,
                epilogue: plain(&[0.0]),
                out: &mut out,
            });
            assert_eq!(out, [expected], "{}", tier.isa());
        }
    }
}
