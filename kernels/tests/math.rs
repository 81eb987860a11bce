//! The functions of `math` against `f64`: largest errors, and the ends of their domains.

use lanerank_kernels::math::{
    erf, exp, exp2_coarse, gelu, gelu_coarse, gelu_tanh, relu, sigmoid, tanh,
};

/// Every 257th float from `low` to `high` (same sign), and both ends.
fn floats(low: f32, high: f32) -> impl Iterator<Item = f32> {
    let (a, b) = (
        low.to_bits().min(high.to_bits()),
        low.to_bits().max(high.to_bits()),
    );
    (a..=b).step_by(257).chain([b]).map(f32::from_bits)
}

fn both_signs(high: f32) -> impl Iterator<Item = f32> {
    floats(0.0, high).chain(floats(-0.0, -high))
}

/// Prints the largest error (`--nocapture` shows it) and fails above the limit.
fn largest(what: &str, limit: f64, errors: impl Iterator<Item = (f32, f64)>) {
    let (at, error) = errors.fold(
        (0.0, 0.0),
        |a, b| if b.1 > a.1 || b.1.is_nan() { b } else { a },
    );
    println!("{what}: {error:.2e} at {at:e}");
    assert!(
        error <= limit,
        "{what}: error {error:e} at {at:e} exceeds {limit:e}"
    );
}

fn relative(value: f32, exact: f64) -> f64 {
    if exact == 0.0 {
        f64::from(value).abs()
    } else {
        (f64::from(value) - exact).abs() / exact.abs()
    }
}

/// erf in f64: the Maclaurin series, whose cancellation up to 3 costs 1e-13, then the continued
/// fraction of erfc.
fn exact_erf(x: f64) -> f64 {
    let a = x.abs();
    let value = if a < 3.0 {
        let (mut term, mut sum, mut n) = (a, a, 0.0);
        while term.abs() > 1e-18 * sum {
            n += 1.0;
            term *= -a * a / n;
            sum += term / (2.0 * n + 1.0);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    } else {
        let tail = (1..80)
            .rev()
            .fold(a, |tail, n| a + f64::from(n) / 2.0 / tail);
        1.0 - (-a * a).exp() / (tail * std::f64::consts::PI.sqrt())
    };
    value.copysign(x)
}

#[test]
fn exp_relative_error() {
    let xs = floats(0.0, 88.7).chain(floats(-0.0, -87.3));
    largest(
        "exp, relative",
        2e-7,
        xs.map(|x| (x, relative(exp(x), f64::from(x).exp()))),
    );
    // Below -87.3, results are subnormal: within two steps of the exact ones.
    let step = f64::from(f32::from_bits(1));
    let xs = floats(-87.3, -120.0);
    let errors = xs.map(|x| (x, (f64::from(exp(x)) - f64::from(x).exp()).abs() / step));
    largest("exp, subnormal steps", 2.0, errors);
}

#[test]
fn erf_absolute_error() {
    let errors = both_signs(10.0).map(|x| (x, (f64::from(erf(x)) - exact_erf(f64::from(x))).abs()));
    largest("erf, absolute", 4.5e-7, errors);
}

#[test]
fn tanh_and_sigmoid_relative_error() {
    let errors = both_signs(20.0).map(|x| (x, relative(tanh(x), f64::from(x).tanh())));
    largest("tanh, relative", 2.5e-7, errors);
    let exact = |x: f32| 1.0 / (1.0 + (-f64::from(x)).exp());
    let errors = both_signs(80.0).map(|x| (x, relative(sigmoid(x), exact(x))));
    largest("sigmoid, relative", 3e-7, errors);
}

#[test]
fn gelu_error_against_magnitude() {
    let scaled = |x: f32, value: f32, exact: f64| {
        (f64::from(value) - exact).abs() / f64::from(x.abs().max(1.0))
    };
    let errors = both_signs(30.0).map(|x| {
        let wide = f64::from(x);
        let exact = wide * 0.5 * (1.0 + exact_erf(wide * std::f64::consts::FRAC_1_SQRT_2));
        (x, scaled(x, gelu(x), exact))
    });
    largest("gelu, relative to max(1, |x|)", 3.5e-7, errors);
    let errors = both_signs(30.0).map(|x| {
        let wide = f64::from(x);
        let u = (2.0 / std::f64::consts::PI).sqrt() * (wide + 0.044715 * wide.powi(3));
        (x, scaled(x, gelu_tanh(x), 0.5 * wide * (1.0 + u.tanh())))
    });
    largest("gelu_tanh, relative to max(1, |x|)", 3.5e-7, errors);
}

/// The absolute error counts, because the rounding that follows has steps of one size.
#[test]
fn gelu_coarse_absolute_error() {
    let errors = both_signs(30.0).map(|x| {
        let wide = f64::from(x);
        let exact = wide * 0.5 * (1.0 + exact_erf(wide * std::f64::consts::FRAC_1_SQRT_2));
        (x, (f64::from(gelu_coarse(x)) - exact).abs())
    });
    largest("gelu_coarse, absolute", 1.3e-4, errors);
}

#[test]
fn exp2_coarse_relative_error() {
    let errors = floats(-0.0, -100.0).map(|x| {
        assert!(exp2_coarse(x) <= 1.0);
        (x, relative(exp2_coarse(x), f64::from(x).exp2()))
    });
    largest("exp2_coarse, relative", 1.1e-4, errors);
}

#[test]
fn ends_and_nan() {
    let infinity = f32::INFINITY;
    assert_eq!(
        [exp(-infinity), exp(0.0), exp(infinity)],
        [0.0, 1.0, infinity]
    );
    assert_eq!([exp(f32::MIN), exp(f32::MAX)], [0.0, infinity]);
    assert_eq!(
        [sigmoid(-infinity), sigmoid(0.0), sigmoid(infinity)],
        [0.0, 0.5, 1.0]
    );
    assert_eq!(
        [tanh(-infinity), tanh(0.0), tanh(infinity)],
        [-1.0, 0.0, 1.0]
    );
    assert_eq!([erf(-infinity), erf(0.0), erf(infinity)], [-1.0, 0.0, 1.0]);
    assert_eq!([gelu(-1e30), gelu(0.0), gelu(1e30)], [0.0, 0.0, 1e30]);
    assert_eq!([gelu(infinity), gelu_tanh(infinity)], [infinity; 2]);
    assert!(gelu(-infinity).is_nan() && gelu_tanh(-infinity).is_nan());
    assert_eq!([gelu_coarse(0.0), gelu_coarse(1e30)], [0.0, 1e30]);
    assert_eq!(gelu_coarse(infinity), infinity);
    assert!(gelu_coarse(-infinity).abs() <= 1.3e-4);
    assert_eq!([exp2_coarse(0.0), exp2_coarse(-3.0)], [1.0, 0.125]);
    assert_eq!(exp2_coarse(-infinity), exp2_coarse(-100.0));
    assert_eq!([relu(-1.0), relu(2.0)], [0.0, 2.0]);
    for f in [
        exp,
        exp2_coarse,
        sigmoid,
        tanh,
        erf,
        gelu,
        gelu_coarse,
        gelu_tanh,
        relu,
    ] {
        assert!(f(f32::NAN).is_nan() && f(-f32::NAN).is_nan());
    }
}
