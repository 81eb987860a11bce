//! The reference, which the other tiers are compared with, against values worked out by hand and
//! against f64; and the layouts, the names and the checks.

mod common;

use common::{Random, plain, reference, tiers};
use half::f16;
use lanerank_kernels::layout::{
    PackedF16, PackedF32, PackedI8, QuantizedWeights, ShapeError, checked_packed_f32_len,
    checked_packed_i8_len, column_sums, pack_f16, pack_f32, pack_i8, packed_i8_len, padded_k,
    quantize_weights, unpack_f16, unpack_f32, unpack_i8,
};
use lanerank_kernels::{
    Activation, ClsAttention, Epilogue, GemmFloat, GemmI8, GemmI8A16, Isa, IsaError, Kernels,
    LayerNorm, QuantizeI16, QuantizeU8, RowQuant, Rows, RowsI16, RowsI16Mut, RowsU8, RowsU8Mut,
};

fn close(actual: f32, exact: f64, tolerance: f64) {
    assert!(
        (f64::from(actual) - exact).abs() <= tolerance,
        "{actual} is not {exact}"
    );
}

fn row(data: &[f32]) -> Rows<'_> {
    let (m, k) = (1, data.len());
    Rows { data, m, k }
}

/// Rounds one row to `u8`.
fn quantize_u8(tier: &Kernels, x: &[f32]) -> (Vec<u8>, [RowQuant; 1]) {
    let (mut data, mut params) = (vec![9; padded_k(x.len())], [RowQuant::default()]);
    tier.quantize_u8(QuantizeU8 {
        x: row(x),
        scale: None,
        out: RowsU8Mut {
            data: &mut data,
            params: &mut params,
        },
    });
    (data, params)
}

/// Rounds one row to 16 bits: its upper bytes, its lower bytes, its scale.
fn quantize_i16(x: &[f32]) -> (Vec<u8>, Vec<u8>, [f32; 1]) {
    let [mut high, mut low] = [(); 2].map(|()| vec![9; padded_k(x.len())]);
    let mut scales = [0.0];
    reference().quantize_i16(QuantizeI16 {
        x: row(x),
        scale: None,
        out: RowsI16Mut {
            high: &mut high,
            low: &mut low,
            scales: &mut scales,
        },
    });
    (high, low, scales)
}

/// `gemm_i8` of rows in 8 bits.
fn gemm_i8(
    tier: &Kernels,
    (data, params): (&[u8], &[RowQuant]),
    b: PackedI8<'_>,
    epilogue: Epilogue<'_>,
) -> Vec<f32> {
    let mut out = vec![0.0; params.len() * b.n()];
    tier.gemm_i8(GemmI8 {
        a: RowsU8 { data, params },
        b,
        epilogue,
        out: &mut out,
    });
    out
}

/// `gemm_i8_a16` of one row.
fn gemm_i8_a16(high: &[u8], low: &[u8], scale: f32, b: PackedI8<'_>) -> Vec<f32> {
    let mut out = vec![0.0; b.n()];
    reference().gemm_i8_a16(GemmI8A16 {
        a: RowsI16 {
            high,
            low,
            scales: &[scale],
        },
        b,
        epilogue: plain(&vec![0.0; b.n()]),
        out: &mut out,
    });
    out
}

#[test]
fn quantize_u8_by_hand() {
    // Range -1 to 1.55 in 255 steps of 0.01; ties (half a step) go to even.
    let (out, params) = quantize_u8(reference(), &[-1.0, 0.0, 1.55, 0.5]);
    assert_eq!(out[..4], [0, 100, 255, 150]);
    assert!(out[4..].iter().all(|&q| q == 0));
    assert_eq!(params[0].zero, 100);
    close(params[0].scale, 0.01, 1e-9);
    let (out, params) = quantize_u8(reference(), &[255.0, 0.5, 1.5, 2.5]);
    assert_eq!(
        (out[..4].to_vec(), params[0]),
        (
            vec![255, 0, 2, 2],
            RowQuant {
                scale: 1.0,
                zero: 0
            }
        )
    );
}

#[test]
fn rows_that_cannot_be_quantised() {
    for (value, is_nan) in [
        (0.0, false),
        (-0.0, false),
        (1e-40, false),
        (f32::NAN, true),
        (f32::NEG_INFINITY, true),
    ] {
        let (out, params) = quantize_u8(reference(), &[value, 0.0]);
        assert_eq!((out, params[0].zero), (vec![0; 64], 0));
        let (high, low, scales) = quantize_i16(&[value, 0.0]);
        assert_eq!((high, low), (vec![128; 64], vec![0; 64]));
        for scale in [params[0].scale, scales[0]] {
            assert!(if is_nan { scale.is_nan() } else { scale == 1.0 });
        }
    }
}

#[test]
fn a_nan_comes_out_as_nan() {
    let weights = pack_i8(&[1; 16], 1, 16);
    let b = PackedI8::new(1, 16, &weights, &[1.0], &[16]).unwrap();
    let mut x = [1.0; 16];
    x[7] = f32::NAN;
    for tier in tiers() {
        for act in [
            Activation::None,
            Activation::Relu,
            Activation::Gelu,
            Activation::Tanh,
        ] {
            let (q, params) = quantize_u8(tier, &x);
            let out = gemm_i8(tier, (&q, &params), b, Epilogue { bias: &[0.0], act });
            assert!(out[0].is_nan(), "{} {act:?}", tier.isa());
        }
    }
}

#[test]
fn quantize_i16_by_hand() {
    let (high, low, scales) = quantize_i16(&[32767.0, -32767.0, 1.0, -1.0]);
    assert_eq!(
        (high[..5].to_vec(), low[..5].to_vec()),
        (vec![255, 0, 128, 127, 128], vec![255, 1, 1, 255, 0])
    );
    assert_eq!(scales, [1.0]);
}

#[test]
fn products_by_hand() {
    // Two rows by two channels of depth 3.
    let w: [i8; 6] = [1, -2, 3, 4, 5, -6];
    let (packed, sums) = (pack_i8(&w, 2, 3), column_sums(&w, 2, 3));
    assert_eq!(sums, [2, 3]);
    let b = PackedI8::new(2, 3, &packed, &[0.5, 2.0], &sums).unwrap();
    let mut a = [77; 128];
    a[..3].copy_from_slice(&[10, 20, 30]);
    a[64..67].copy_from_slice(&[255, 0, 1]);
    let params = [
        RowQuant {
            scale: 2.0,
            zero: 10,
        },
        RowQuant {
            scale: 1.0,
            zero: 0,
        },
    ];
    let bias = &[1.0, -1.0];
    let out = gemm_i8(reference(), (&a, &params), b, plain(bias));
    // 60 - 10*2 = 40; -40 - 10*3 = -70; 258; 1014.
    assert_eq!(out, [41.0, -281.0, 130.0, 2027.0]);
    let act = Activation::Relu;
    let out = gemm_i8(reference(), (&a, &params), b, Epilogue { bias, act });
    assert_eq!(out, [41.0, 0.0, 130.0, 2027.0]);

    // Each input is 2 * 256 + 3 = 515.
    let out = gemm_i8_a16(&[130; 64], &[3; 64], 1.0, b);
    assert_eq!(out, [515.0, 3090.0]);

    let w = w.map(f32::from);
    let packed = pack_f32(&w, 2, 3);
    let mut out = [0.0; 2];
    reference().gemm_f32(GemmFloat {
        a: row(&[1.0, 2.0, 0.5]),
        b: PackedF32::new(2, 3, &packed).unwrap(),
        epilogue: plain(&[0.25, 0.0]),
        out: &mut out,
    });
    assert_eq!(out, [-1.25, 11.0]);
    let packed = pack_f16(&w.map(f16::from_f32), 2, 3);
    reference().gemm_f16(GemmFloat {
        a: row(&[1.0, 2.0, 0.5]),
        b: PackedF16::new(2, 3, &packed).unwrap(),
        epilogue: plain(&[0.25, 0.0]),
        out: &mut out,
    });
    assert_eq!(out, [-1.25, 11.0]);
}

#[test]
fn quantised_product_is_near_the_exact_one() {
    let (n, k, mut random) = (5, 128, Random::new(3));
    let (x, w) = (random.floats(k), random.floats(n * k));
    let q = quantize_weights(&w, n, k);
    let (packed, sums) = (pack_i8(&q.values, n, k), column_sums(&q.values, n, k));
    let b = PackedI8::new(n, k, &packed, &q.scales, &sums).unwrap();
    let (a, params) = quantize_u8(reference(), &x);
    let out = gemm_i8(reference(), (&a, &params), b, plain(&[0.0; 5]));
    let (high, low, [scale]) = quantize_i16(&x);
    let out_16 = gemm_i8_a16(&high, &low, scale, b);
    for j in 0..n {
        let weight = |d: usize| f64::from(q.values[j * k + d]) * f64::from(q.scales[j]);
        let exact: f64 = (0..k).map(|d| f64::from(x[d]) * weight(d)).sum();
        close(out[j], exact, 0.08);
        close(out_16[j], exact, 5e-4);
    }
}

#[test]
fn layer_norm_against_f64() {
    let x = Random::new(5).floats(50);
    let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / 50.0;
    let variance = x
        .iter()
        .map(|&x| (f64::from(x) - mean).powi(2))
        .sum::<f64>()
        / 50.0;
    let mut out = vec![0.0; 50];
    reference().layer_norm(LayerNorm {
        x: &mut out,
        delta: Some(&x),
        weight: &[2.0; 50],
        bias: &[1.0; 50],
        eps: 1e-5,
    });
    for (out, x) in out.iter().zip(x) {
        close(
            *out,
            (f64::from(x) - mean) / (variance + 1e-5).sqrt() * 2.0 + 1.0,
            1e-5,
        );
    }
}

#[test]
fn cls_attention_against_f64() {
    let (heads, hidden, len, mut random) = (3, 20, 11, Random::new(9));
    let (t, x) = (random.floats(heads * hidden), random.floats(len * hidden));
    let mut out = vec![0.0; heads * hidden];
    let (prefix, rows) = x.split_at(4 * hidden);
    reference().cls_attention(ClsAttention {
        t: &t,
        prefix,
        rows,
        heads,
        hidden,
        scratch: &mut Vec::new(),
        out: &mut out,
    });
    for h in 0..heads {
        let dot = |i| {
            (0..hidden)
                .map(|c| f64::from(t[h * hidden + c]) * f64::from(x[i * hidden + c]))
                .sum::<f64>()
        };
        let weights: Vec<f64> = (0..len).map(|i| dot(i).exp()).collect();
        for c in 0..hidden {
            let sum: f64 = (0..len)
                .map(|i| weights[i] * f64::from(x[i * hidden + c]))
                .sum();
            close(out[h * hidden + c], sum / weights.iter().sum::<f64>(), 2e-6);
        }
    }
}

#[test]
fn softmax_dot_and_embedding_by_hand() {
    let mut x = [1.0, 1.0, f32::NEG_INFINITY, 1.0, 1.0];
    reference().softmax(&mut x);
    assert_eq!(x, [0.25, 0.25, 0.0, 0.25, 0.25]);
    reference().softmax(&mut []);
    assert_eq!(reference().dot(&[1.0, 2.0, 3.0], &[4.0, 5.0, -6.0]), -4.0);
    let mut out = [1.0, 2.0];
    reference().add_scaled_i8(&[-128, 3], 0.5, &mut out);
    assert_eq!(out, [-63.0, 3.5]);
    // f32 has steps of 8 at 1e8, so adding ones one by one changes nothing. In the tree, lane 1
    // adds 8 at once to lane 0; the smaller sums added to lane 0 before (1, 1, 2, 4) are rounded
    // away.
    let mut x = [1.0; 17];
    x[0] = 1e8;
    assert_eq!(reference().dot(&x, &[1.0; 17]), 100_000_008.0);
}

#[test]
fn weights_by_hand() {
    let w = [
        127.0,
        -63.5,
        0.5,
        1.5,
        0.0,
        0.0,
        -0.0,
        1e-42,
        1.0,
        f32::NAN,
        0.0,
        0.0,
    ];
    let QuantizedWeights { values, scales } = quantize_weights(&w, 3, 4);
    assert_eq!(values, [127, -64, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(scales[..2], [1.0, 1.0]);
    assert!(scales[2].is_nan());
}

#[test]
fn packing_round_trips_and_lies_as_documented() {
    let (n, k) = (19, 67);
    let w: Vec<i8> = (0..n * k).map(|i| (i * 7 % 256) as u8 as i8).collect();
    let packed = pack_i8(&w, n, k);
    assert_eq!(packed.len(), 2 * 16 * 128);
    assert_eq!(packed.len(), packed_i8_len(n, k));
    assert_eq!(packed[16 * 128 + 16 * 64 + 4 + 2], w[17 * k + 66]);
    assert_eq!(unpack_i8(&packed, n, k), w);
    let sum: i32 = packed.iter().map(|&w| i32::from(w)).sum();
    assert_eq!(
        sum,
        column_sums(&w, n, k).iter().sum::<i32>(),
        "padding is 0"
    );
    let floats: Vec<f32> = w.iter().map(|&w| f32::from(w)).collect();
    let packed = pack_f32(&floats, n, k);
    assert_eq!(packed[16 * k + 66 * 16 + 1], floats[17 * k + 66]);
    assert_eq!(unpack_f32(&packed, n, k), floats);
    let halves: Vec<f16> = floats.iter().map(|&w| f16::from_f32(w)).collect();
    assert_eq!(unpack_f16(&pack_f16(&halves, n, k), n, k), halves);
}

#[test]
fn hostile_shapes_are_errors() {
    assert_eq!(padded_k(65), 128);
    for (n, k) in [
        (usize::MAX, 1),
        (1, usize::MAX),
        (usize::MAX / 2, 64),
        (1, 65_537),
    ] {
        assert_eq!(
            (
                checked_packed_i8_len(n, k),
                checked_packed_f32_len(n, k).filter(|_| n == 1)
            ),
            (None, None)
        );
        assert_eq!(
            PackedI8::new(n, k, &[], &[], &[]).unwrap_err(),
            ShapeError::TooLarge { n, k }
        );
    }
    let error = PackedF32::new(2, 3, &[0.0; 47]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "data has 47 elements, its shape asks for 48"
    );
    assert!(
        PackedI8::new(1, 1, &[0; 1024], &[], &[0])
            .unwrap_err()
            .to_string()
            .starts_with("scales")
    );
}

#[test]
#[should_panic(expected = "out has 3 elements, its shape is [2, 2]")]
fn a_wrong_shape_panics() {
    let packed = pack_f32(&[0.0; 4], 2, 2);
    Kernels::best().gemm_f32(GemmFloat {
        a: Rows {
            data: &[0.0; 4],
            m: 2,
            k: 2,
        },
        b: PackedF32::new(2, 2, &packed).unwrap(),
        epilogue: plain(&[0.0; 2]),
        out: &mut [0.0; 3],
    });
}

#[test]
fn names_of_tiers() {
    assert_eq!(Kernels::available().next().unwrap().isa(), Isa::Reference);
    for kernels in Kernels::available() {
        let name = kernels.isa().to_string();
        assert_eq!(name.parse::<Isa>().unwrap(), kernels.isa());
        assert_eq!(
            Kernels::for_isa(kernels.isa()).unwrap().isa(),
            kernels.isa()
        );
    }
    let error = "mmx".parse::<Isa>().unwrap_err();
    assert_eq!(error, IsaError::Unknown("mmx".into()));
    assert!(
        error.to_string().contains("known are reference, portable"),
        "{error}"
    );
}
