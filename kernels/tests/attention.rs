//! Attention, in floats, in integers and of one token, on every tier against the reference and
//! against f64.

mod common;

use common::{Misaligned, Random, assert_same, fuses, reference, tiers};
use lanerank_kernels::{Attention, ClsAttention, Kernels};

/// A method of [`Kernels`].
type Method = fn(&Kernels, Attention<'_>);

/// Self-attention of rows, some of them in a prefix.
struct Case {
    heads: usize,
    head_dim: usize,
    prefix: Misaligned<f32>,
    rows: Misaligned<f32>,
}

impl Case {
    fn new(random: &mut Random, odd: bool) -> Self {
        let heads = 1 + random.below(4);
        let head_dim = [1, 2, 7, 16, 26, 32, 40, 64, 129][random.below(9)];
        let stride = 3 * heads * head_dim;
        let (prefix, own) = (random.below(10), 1 + random.below(40));
        let rows = if odd {
            random.odd_floats(own * stride)
        } else {
            random.floats(own * stride)
        };
        Self {
            heads,
            head_dim,
            prefix: Misaligned::new(&random.floats(prefix * stride)),
            rows: Misaligned::new(&rows),
        }
    }

    fn run_on(&self, tier: &Kernels, method: Method, prefix: &[f32], rows: &[f32]) -> Vec<f32> {
        // The scratch's content must not matter.
        let mut scratch = Random::new(self.heads as u64).odd_floats(3000);
        let mut out = vec![f32::NAN; (prefix.len() + rows.len()) / 3];
        let op = Attention {
            prefix,
            rows,
            heads: self.heads,
            head_dim: self.head_dim,
            scratch: &mut scratch,
            out: &mut out,
        };
        method(tier, op);
        out
    }

    fn run(&self, tier: &Kernels, method: Method) -> Vec<f32> {
        self.run_on(tier, method, self.prefix.get(), self.rows.get())
    }

    /// Checks that the place of the rows does not matter; returns the result.
    fn run_anywhere(&self, tier: &Kernels, method: Method, what: &str) -> Vec<f32> {
        let result = self.run(tier, method);
        let joined = [self.prefix.get(), self.rows.get()].concat();
        assert_same(&self.run_on(tier, method, &[], &joined), &result, what);
        assert_same(&self.run_on(tier, method, &joined, &[]), &result, what);
        result
    }
}

#[test]
fn floats_on_every_tier() {
    for tier in tiers() {
        let fuses = fuses(tier);
        for seed in 1..120 {
            let case = Case::new(&mut Random::new(seed), !fuses);
            let what = format!("{}, seed {seed}", tier.isa());
            let actual = case.run_anywhere(tier, Kernels::attention, &what);
            let expected = case.run(reference(), Kernels::attention);
            if !fuses {
                assert_same(&actual, &expected, &what);
            }
            for (a, e) in actual.iter().zip(&expected) {
                let close = (a - e).abs() <= 1e-5;
                assert!(close || !fuses, "{what}: {a:e}, not {e:e}");
            }
        }
    }
}

#[test]
fn integers_on_every_tier() {
    for tier in tiers() {
        for seed in 1..250 {
            let case = Case::new(&mut Random::new(seed), seed % 2 == 0);
            let what = format!("{}, seed {seed}", tier.isa());
            let actual = case.run_anywhere(tier, Kernels::attention_i8, &what);
            let expected = case.run(reference(), Kernels::attention_i8);
            assert_same(&actual, &expected, &what);
        }
    }
}

/// Equal rows of the largest values give the largest sums. Then the same with one strong key, and
/// with scores of every sign and size.
#[test]
fn integers_at_their_bounds() {
    for (len, head_dim) in [(1, 1), (3, 1), (700, 2), (70, 129), (9, 1000), (2500, 3)] {
        for scale in [1.0, 1e-30, 1e17, 3e38] {
            let same = |i: usize| if i.is_multiple_of(2) { scale } else { -scale };
            let mut rows: Vec<f32> = (0..len * 3 * head_dim).map(|_| scale).collect();
            for round in 0..3 {
                match round {
                    0 => {}
                    1 => rows[head_dim..2 * head_dim].fill(-scale),
                    _ => rows
                        .iter_mut()
                        .enumerate()
                        .for_each(|(i, x)| *x = same(i / 3)),
                }
                let case = Case {
                    heads: 1,
                    head_dim,
                    prefix: Misaligned::new(&[]),
                    rows: Misaligned::new(&rows),
                };
                let expected = case.run(reference(), Kernels::attention_i8);
                for tier in tiers() {
                    let what = format!("{}: {len} x {head_dim}, {scale:e}, {round}", tier.isa());
                    assert_same(&case.run(tier, Kernels::attention_i8), &expected, &what);
                }
            }
        }
    }
}

/// A NaN in a query makes its row NaN, in a key every row, in a value its channel.
#[test]
fn integers_keep_nan() {
    let (len, head_dim) = (5, 4);
    for tier in tiers() {
        for (place, lost) in [(0, 0..4), (head_dim, 0..20), (2 * head_dim, 0..1)] {
            let mut rows = Random::new(3).floats(len * 3 * head_dim);
            rows[place] = f32::NAN;
            let mut out = vec![0.0; len * head_dim];
            tier.attention_i8(Attention {
                prefix: &[],
                rows: &rows,
                heads: 1,
                head_dim,
                scratch: &mut Vec::new(),
                out: &mut out,
            });
            for (i, x) in out.iter().enumerate() {
                let channel = place == 2 * head_dim && i % head_dim == 0;
                let expected = lost.contains(&i) || channel;
                assert_eq!(x.is_nan(), expected, "{}: {place}, {i}", tier.isa());
            }
        }
    }
}

/// Largest difference to attention in f64 of rows between -3 and 3.
fn difference(method: Method, (heads, head_dim, len): (usize, usize, usize)) -> f64 {
    let (hidden, stride) = (heads * head_dim, 3 * heads * head_dim);
    let rows: Vec<f32> = Random::new(7)
        .floats(len * stride)
        .iter()
        .map(|x| x * 3.0)
        .collect();
    let mut out = vec![0.0; len * hidden];
    let (prefix, own) = rows.split_at(2 * stride);
    let op = Attention {
        prefix,
        rows: own,
        heads,
        head_dim,
        scratch: &mut Vec::new(),
        out: &mut out,
    };
    method(reference(), op);
    let at = |i: usize, column: usize| f64::from(rows[i * stride + column]);
    let mut largest = 0.0;
    for (i, h) in (0..len).flat_map(|i| (0..heads).map(move |h| (i, h))) {
        let first = h * head_dim;
        let score = |j| {
            (0..head_dim)
                .map(|d| at(i, first + d) * at(j, hidden + first + d))
                .sum::<f64>()
        };
        let weights: Vec<f64> = (0..len)
            .map(|j| (score(j) / (head_dim as f64).sqrt()).exp())
            .collect();
        for d in 0..head_dim {
            let sum: f64 = (0..len)
                .map(|j| weights[j] * at(j, 2 * hidden + first + d))
                .sum();
            let exact = sum / weights.iter().sum::<f64>();
            largest = f64::max(
                largest,
                (f64::from(out[i * hidden + first + d]) - exact).abs(),
            );
        }
    }
    largest
}

#[test]
fn floats_against_f64() {
    assert!(difference(Kernels::attention, (2, 5, 9)) < 5e-6);
}

#[test]
fn integers_against_f64() {
    for (shape, bound) in [
        ((2, 5, 9), 2e-2),
        ((2, 64, 80), 7e-2),
        ((1, 32, 500), 6e-2),
        ((1, 3, 2000), 2e-2),
    ] {
        let difference = difference(Kernels::attention_i8, shape);
        println!("{shape:?}: {difference:e}");
        assert!(difference < bound, "{shape:?}: {difference:e}");
    }
}

#[test]
#[should_panic(expected = "attention over 65537 tokens")]
fn integers_of_too_many_tokens() {
    let mut out = vec![0.0; 65_537];
    Kernels::best().attention_i8(Attention {
        prefix: &[],
        rows: &[0.0; 3 * 65_537],
        heads: 1,
        head_dim: 1,
        scratch: &mut Vec::new(),
        out: &mut out,
    });
}

#[test]
fn of_one_token_on_every_tier() {
    for (tier, seed) in tiers()
        .iter()
        .flat_map(|tier| (1..120).map(move |seed| (tier, seed)))
    {
        let (random, what) = (
            &mut Random::new(seed),
            &format!("{}, seed {seed}", tier.isa()),
        );
        let (heads, hidden) = (1 + random.below(12), 1 + random.below(100));
        let (prefix, own) = (random.below(10), 1 + random.below(60));
        let t = random.floats(heads * hidden);
        let prefix = Misaligned::new(&random.floats(prefix * hidden));
        let rows = Misaligned::new(&random.odd_floats(own * hidden));
        let mut scratch = Vec::new();
        let mut run = |tier: &Kernels, prefix: &[f32], rows: &[f32]| {
            let mut out = vec![f32::NAN; heads * hidden];
            tier.cls_attention(ClsAttention {
                t: &t,
                prefix,
                rows,
                heads,
                hidden,
                scratch: &mut scratch,
                out: &mut out,
            });
            out
        };
        let actual = run(tier, prefix.get(), rows.get());
        assert_same(&actual, &run(reference(), prefix.get(), rows.get()), what);
        let joined = [prefix.get(), rows.get()].concat();
        assert_same(&run(tier, &[], &joined), &actual, what);
    }
}
