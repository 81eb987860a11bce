//! Kernels by operation, shape and tier: `cargo bench --bench kernels -- kernel/gemm_i8/`.
//!
//! Throughput is in elements: multiply-adds for products and attention (two products with 16-bit
//! activations), values otherwise. The reference tier runs only the smallest shape of each
//! operation. `lanerank bench --kernels` shows the same as a table, with the machine's peaks.

use std::collections::HashSet;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lanerank::kernels::{Isa, Kernels};
use lanerank_bench::cases;

fn kernels(c: &mut Criterion) {
    let mut seen = HashSet::new();
    for case in cases::all() {
        let smallest = seen.insert(case.op);
        let tiers = Kernels::available().filter(|tier| smallest || tier.isa() != Isa::Reference);
        let mut group = c.benchmark_group(format!("kernel/{}/{}", case.op, case.shape));
        group.throughput(Throughput::Elements(case.elements() as u64));
        // Prepared by the first bench that the filter selects.
        let mut run = None;
        for tier in tiers {
            group.bench_function(tier.isa().name(), |b| {
                let run = run.get_or_insert_with(|| case.prepare());
                b.iter(|| run(tier));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, kernels);
criterion_main!(benches);
