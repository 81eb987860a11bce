"""Writes expected.json: p values and rank correlations of random numbers, by scipy.

pip install scipy==1.17.1 && python make.py
"""

import json
from pathlib import Path
import numpy as np
from scipy.stats import kendalltau, permutation_test

r = np.random.Generator(np.random.PCG64(5))
tests = []
for n, mean, zeros in [
    (3, 0.1, 0),
    (8, 0.0, 2),
    (10, 0.05, 0),
    (12, 0.1, 3),
    (16, 0.04, 0),
    (40, 0.02, 5),
    (200, 0.005, 50),
]:
    differences = np.round(r.normal(mean, 0.1, n), 3)
    differences[:zeros] = 0
    exact = np.count_nonzero(differences) <= 16
    p = permutation_test(
        (differences,),
        np.sum,
        permutation_type="samples",
        n_resamples=np.inf if exact else 400_000,
        rng=r,
    ).pvalue
    tests.append({"differences": differences.tolist(), "p": float(p), "exact": bool(exact)})
taus = []
for n, levels in [(2, 9), (20, 5), (100, 1000)]:
    a = r.integers(0, levels, n).astype(float)
    b = a + r.integers(0, levels // 2 + 1, n)
    taus.append({"a": a.tolist(), "b": b.tolist(), "tau": float(kendalltau(a, b).statistic)})
Path(__file__).with_name("expected.json").write_text(
    json.dumps({"permutation_test": tests, "kendalltau": taus}) + "\n"
)
