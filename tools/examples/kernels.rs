//! Multiplies rows by an int8 matrix, without a model: `cargo run --release --example kernels`.

use lanerank::kernels::layout::{self, PackedI8};
use lanerank::kernels::{
    Activation, Epilogue, GemmI8, Kernels, QuantizeU8, RowQuant, Rows, RowsU8, RowsU8Mut,
};

fn main() -> Result<(), layout::ShapeError> {
    let (m, n, k) = (2, 3, 4); // rows, output channels, depth
    let kernels = Kernels::best();
    println!("tier {}", kernels.isa());

    // Once: round the weights to int8, per output channel, and pack them.
    let w: Vec<f32> = (0..n * k).map(|i| i as f32 - 5.0).collect();
    let q = layout::quantize_weights(&w, n, k);
    let (packed, sums) = (
        layout::pack_i8(&q.values, n, k),
        layout::column_sums(&q.values, n, k),
    );
    let b = PackedI8::new(n, k, &packed, &q.scales, &sums)?;

    // Per request: round the rows to u8, and multiply.
    let x = [1.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.0];
    let mut data = vec![0; m * layout::padded_k(k)];
    let mut params = vec![RowQuant::default(); m];
    kernels.quantize_u8(QuantizeU8 {
        x: Rows { data: &x, m, k },
        scale: None,
        out: RowsU8Mut {
            data: &mut data,
            params: &mut params,
        },
    });
    let mut out = [0.0; 6];
    kernels.gemm_i8(GemmI8 {
        a: RowsU8 {
            data: &data,
            params: &params,
        },
        b,
        epilogue: Epilogue {
            bias: &[0.0; 3],
            act: Activation::None,
        },
        out: &mut out,
    });
    println!("{out:.2?}");
    Ok(())
}
