#!/usr/bin/env python3
"""Fits the polynomials in src/math.rs and prints them as Rust constants.

    python3 -m venv venv && venv/bin/pip install numpy mpmath
    venv/bin/python coefficients.py

Every fit is a linear least-squares problem on Chebyshev nodes. Weights grow where the error is
largest (Lawson's iteration), which tends to the minimax fit. A denominator is fitted by iterating
on p(x) - f(x) q(x), divided by the last q.
"""

import mpmath
import numpy as np

mpmath.mp.dps = 40
NODES = 1500


def nodes(low, high):
    angles = (np.arange(NODES) + 0.5) * np.pi / NODES
    return (low + high) / 2 + (high - low) / 2 * np.cos(angles)


def fit(x, target, scale, numerator, denominator=0):
    """Coefficients p, q (lowest power first, q[0] = 1) such that
    scale * |sum p_i x^i / sum q_i x^i - target| is smallest at its largest."""
    p_powers = np.stack([x**i for i in range(numerator + 1)], 1)
    q_powers = np.zeros((len(x), 0))
    if denominator:
        q_powers = np.stack([x**i for i in range(1, denominator + 1)], 1)
    weights = np.ones(len(x))
    q_value = np.ones(len(x))
    best = None
    for _ in range(300):
        row = np.sqrt(weights) * scale / q_value
        matrix = np.hstack([p_powers, -target[:, None] * q_powers]) * row[:, None]
        # Columns of one length: the powers of x differ by many orders of magnitude.
        lengths = np.linalg.norm(matrix, axis=0)
        solution = np.linalg.lstsq(matrix / lengths, target * row, rcond=None)[0] / lengths
        p, q = solution[: numerator + 1], solution[numerator + 1 :]
        q_value = 1 + q_powers @ q
        error = np.abs(scale * (p_powers @ p / q_value - target))
        if best is None or error.max() < best[0]:
            best = (error.max(), p, np.concatenate([[1.0], q]))
        weights *= error + 1e-3 * error.max()
        weights /= weights.sum()
    return best


def rust(name, values):
    print(f"const {name}: [f32; {len(values)}] = [")
    for value in values:
        print(f"    {np.float32(value)!r},".replace("np.float32(", "").replace(")", ""))
    print("];")


def exp():
    """(e^r - 1 - r) / r^2 on |r| <= ln(2)/2, so that e^r = 1 + (r + r^2 q(r))."""
    half = float(mpmath.log(2) / 2) * 1.001
    r = nodes(-half, half)
    exact = lambda v: float((mpmath.exp(v) - 1 - mpmath.mpf(v)) / mpmath.mpf(v) ** 2)
    target = np.array([exact(v) for v in map(float, r)])
    error, p, _ = fit(r, target, r**2, 4)
    print(f"// exp: maximum relative error of the fit {error:.1e}")
    rust("EXP", p)
    high = np.float32(float(mpmath.log(2))).view(np.uint32) & np.uint32(0xFFFFF000)
    high = high.view(np.float32)
    low = np.float32(float(mpmath.log(2) - mpmath.mpf(float(high))))
    print(f"const LN2_HIGH: f32 = {high};\nconst LN2_LOW: f32 = {low};")


def erf():
    """erf(x) / x as a rational function of t = x^2, on the x where erf(x) rounds to less than 1."""
    limit = 3.925
    x = np.sqrt(np.clip(nodes(0.0, limit**2), 1e-12, None))
    x = np.concatenate([x, nodes(1e-6, limit)])
    target = np.array([float(mpmath.erf(v) / mpmath.mpf(v)) for v in map(float, x)])
    error, p, q = fit(x * x, target, x, 5, 5)
    print(f"// erf: maximum absolute error of the fit {error:.1e}")
    rust("ERF_P", p)
    rust("ERF_Q", q)


def tanh():
    """(tanh(x) - x) / x^3 as a polynomial of t = x^2, on |x| <= 0.625."""
    x = nodes(1e-4, 0.63)
    exact = lambda v: float((mpmath.tanh(v) - mpmath.mpf(v)) / mpmath.mpf(v) ** 3)
    target = np.array([exact(v) for v in map(float, x)])
    error, p, _ = fit(x * x, target, x**2, 4)
    print(f"// tanh: maximum relative error of the fit {error:.1e}")
    rust("TANH", p)


def exp2():
    """(2^f - 1) / f on |f| <= 1/2, so that 2^f = 1 + f q(f): 1 at 0, never above it below."""
    f = nodes(-0.5, 0.5)
    target = np.array([float((mpmath.mpf(2) ** v - 1) / mpmath.mpf(v)) for v in map(float, f)])
    error, p, _ = fit(f, target, np.abs(f) / 2.0**f, 2)
    print(f"// exp2: maximum relative error of the fit {error:.1e}")
    rust("EXP2", p)


def gelu():
    """1 - Phi(a) as a polynomial of a, so that gelu(x) = max(x, 0) - a q(a) with a = |x|, on the a
    where the difference still matters; beyond, its value at the end is used."""
    limit = 3.83
    a = nodes(1e-6, limit)
    target = np.array([float(mpmath.ncdf(-v)) for v in map(float, a)])
    error, p, _ = fit(a, target, a, 6)
    tail = limit * abs(float(np.polyval(p[::-1], limit)))
    print(f"// gelu: maximum absolute error of the fit {error:.1e}, beyond it {tail:.1e}")
    rust("GELU", p)


if __name__ == "__main__":
    exp()
    erf()
    tanh()
    exp2()
    gelu()
