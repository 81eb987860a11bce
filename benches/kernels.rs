//! Kernels by operation, shape and tier: `cargo bench --bench kernels -- kernel/gemm_i8`.
//!
//! Throughput is in elements: multiply-adds for products and attention, values elsewhere.
//! The reference tier runs the smallest shape of each operation only.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lanerank_kernels::{
    Activation, Isa, Kernels, PackedF16, PackedF32, PackedI8, RowQuant, column_sums, pack_f16,
    pack_f32, pack_i8, padded_k, quantize_weights,
};

/// Rows of a product: a few passages' tokens.
const M: usize = 256;
/// (depth, channels) of the linear layers of TinyBERT, MiniLM-L12 and multilingual BERT.
const LINEAR: [(usize, usize); 12] = [
    (128, 384),
    (128, 128),
    (128, 512),
    (512, 128),
    (384, 1152),
    (384, 384),
    (384, 1536),
    (1536, 384),
    (768, 2304),
    (768, 768),
    (768, 3072),
    (3072, 768),
];
/// (heads, head_dim) of the same models, at 128 tokens.
const HEADS: [(usize, usize); 3] = [(2, 64), (12, 32), (12, 64)];

/// Values from -1 to 1, the same each time.
fn floats(len: usize) -> Vec<f32> {
    (0..len as u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0)
        .collect()
}

/// Benchmarks `run` on every tier; the reference only where `smallest`.
fn each_tier(
    c: &mut Criterion,
    op: &str,
    shape: &str,
    elements: usize,
    smallest: bool,
    mut run: impl FnMut(&Kernels),
) {
    let mut group = c.benchmark_group(format!("kernel/{op}/{shape}"));
    group.throughput(Throughput::Elements(elements as u64));
    for tier in Kernels::available().filter(|tier| smallest || tier.isa() != Isa::Reference) {
        group.bench_function(tier.isa().name(), |b| b.iter(|| run(tier)));
    }
    group.finish();
}

fn gemm_i8(c: &mut Criterion) {
    for (index, (k, n)) in LINEAR.into_iter().enumerate() {
        let w = quantize_weights(&floats(n * k), n, k);
        let (packed, sums) = (pack_i8(&w.values, n, k), column_sums(&w.values, n, k));
        let weights = PackedI8::new(n, k, &packed, &w.scales, &sums).expect("shapes agree");
        let (x, bias, mut out) = (floats(M * k), floats(n), vec![0.0; M * n]);
        let mut a = vec![0; M * padded_k(k)];
        let mut params = vec![RowQuant::default(); M];
        Kernels::best().quantize_u8(&x, M, k, &mut a, &mut params);
        each_tier(
            c,
            "gemm_i8",
            &format!("{M}x{k}x{n}"),
            M * n * k,
            index == 0,
            |tier| {
                tier.gemm_i8(
                    black_box(&a),
                    &params,
                    M,
                    &weights,
                    &bias,
                    Activation::None,
                    &mut out,
                );
            },
        );
    }
}

fn gemm_float(c: &mut Criterion) {
    for (index, (k, n)) in LINEAR.into_iter().enumerate() {
        let w = floats(n * k);
        let packed = pack_f32(&w, n, k);
        let weights = PackedF32::new(n, k, &packed).expect("shapes agree");
        let halves: Vec<_> = w.iter().map(|&w| half::f16::from_f32(w)).collect();
        let packed_halves = pack_f16(&halves, n, k);
        let half_weights = PackedF16::new(n, k, &packed_halves).expect("shapes agree");
        let (a, bias, mut out) = (floats(M * k), floats(n), vec![0.0; M * n]);
        let shape = format!("{M}x{k}x{n}");
        each_tier(c, "gemm_f32", &shape, M * n * k, index == 0, |tier| {
            tier.gemm_f32(
                black_box(&a),
                M,
                &weights,
                &bias,
                Activation::None,
                &mut out,
            );
        });
        each_tier(c, "gemm_f16", &shape, M * n * k, index == 0, |tier| {
            tier.gemm_f16(
                black_box(&a),
                M,
                &half_weights,
                &bias,
                Activation::None,
                &mut out,
            );
        });
    }
}

fn attention(c: &mut Criterion) {
    let len = 128;
    for (index, (heads, head_dim)) in HEADS.into_iter().enumerate() {
        let hidden = heads * head_dim;
        let rows = floats(len * 3 * hidden);
        let (mut scratch, mut out) = (Vec::new(), vec![0.0; len * hidden]);
        let macs = 2 * len * len * hidden;
        each_tier(
            c,
            "attention",
            &format!("{len}x{heads}x{head_dim}"),
            macs,
            index == 0,
            |tier| {
                tier.attention(
                    &[],
                    black_box(&rows),
                    heads,
                    head_dim,
                    &mut scratch,
                    &mut out,
                );
            },
        );
        let (t, mut out) = (floats(heads * hidden), vec![0.0; heads * hidden]);
        let (x, macs) = (&rows[..len * hidden], 2 * len * heads * hidden);
        each_tier(
            c,
            "cls_attention",
            &format!("{len}x{heads}x{hidden}"),
            macs,
            index == 0,
            |tier| {
                tier.cls_attention(&t, &[], black_box(x), heads, hidden, &mut scratch, &mut out);
            },
        );
    }
}

fn rowwise(c: &mut Criterion) {
    for (index, k) in [128, 384, 768].into_iter().enumerate() {
        let (x, smallest) = (floats(M * k), index == 0);
        let (shape, values) = (format!("{M}x{k}"), M * k);
        let mut bytes = vec![0; M * padded_k(k)];
        let mut params = vec![RowQuant::default(); M];
        each_tier(c, "quantize_u8", &shape, values, smallest, |tier| {
            tier.quantize_u8(black_box(&x), M, k, &mut bytes, &mut params);
        });
        let (mut out, delta, weight) = (x.clone(), floats(M * k), floats(k));
        each_tier(c, "add_layer_norm", &shape, values, smallest, |tier| {
            tier.add_layer_norm(&mut out, black_box(&delta), &weight, &weight, 1e-12, M, k);
        });
        for (name, act) in [
            ("gelu", Activation::Gelu),
            ("gelu_tanh", Activation::GeluTanh),
        ] {
            each_tier(c, name, &shape, values, smallest, |tier| {
                out.copy_from_slice(black_box(&x));
                tier.activate(act, &mut out);
            });
        }
        each_tier(c, "softmax", &shape, values, smallest, |tier| {
            out.copy_from_slice(black_box(&x));
            out.chunks_exact_mut(k).for_each(|row| tier.softmax(row));
        });
    }
}

criterion_group!(benches, gemm_i8, gemm_float, attention, rowwise);
criterion_main!(benches);
