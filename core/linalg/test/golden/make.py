"""Writes low-rank.golden.json: small matrices and what NumPy reaches in float64. Run: python make.py"""

import json
from pathlib import Path

import numpy as np

rng = np.random.default_rng(20181)


def orthonormal(rows, columns):
    return np.linalg.qr(rng.standard_normal((rows, columns)))[0]


def with_spectrum(rows, columns, values):
    k = len(values)
    return orthonormal(rows, k) * np.asarray(values) @ orthonormal(columns, k).T


def case(name, a, rank, weights=None, metric=None):
    a = np.asarray(a, np.float32)
    w = np.ones(len(a)) if weights is None else np.asarray(weights, np.float64)
    root = np.eye(a.shape[1])
    if metric is not None:
        values, vectors = np.linalg.eigh(metric)
        root = vectors * np.sqrt(values) @ vectors.T
    scaled = np.sqrt(w)[:, None] * a.astype(np.float64) @ root
    singular = np.linalg.svd(scaled, compute_uv=False)
    return {
        "name": name,
        "rows": a.shape[0],
        "columns": a.shape[1],
        "rank": rank,
        "data": [float(f"{x:.9g}") for x in a.ravel().tolist()],
        "weights": None if weights is None else w.tolist(),
        "metric": None if metric is None else metric.ravel().tolist(),
        "error": float(np.sum(singular[rank:] ** 2)),
        "total": float(np.sum(singular**2)),
        "values": (singular**2).tolist(),
    }


def covariance(size, decay):
    q = orthonormal(size, size)
    c = q * decay ** np.arange(size) @ q.T
    return (c + c.T) / 2


gaussian = rng.standard_normal((60, 16))
zeros = gaussian.copy()
zeros[::3] = 0
decades = 10.0 ** rng.uniform(-3, 3, 60)
cases = [
    case("gaussian", gaussian, 5),
    case("power-law spectrum", with_spectrum(80, 24, 1 / np.arange(1, 25)), 6),
    case("steep spectrum", with_spectrum(50, 12, 10.0 ** -np.arange(0, 6, 0.5)), 7),
    case("repeated eigenvalues", with_spectrum(40, 12, [3, 3, 3, 2, 2, 2, 1, 1, 1, 1, 1, 1]), 4),
    case("rank-deficient", with_spectrum(40, 12, [4, 3, 2]), 2),
    case("rank-deficient, rank above it", with_spectrum(40, 12, [4, 3, 2]), 5),
    case("weights over six decades", gaussian, 4, decades),
    case("weights, some zero", gaussian, 4, np.where(np.arange(60) % 4 == 0, 0, decades)),
    case("fewer rows than columns", rng.standard_normal((10, 30)), 4, decades[:10]),
    case("full rank, tall", gaussian[:, :8], 8, decades),
    case("full rank, wide", rng.standard_normal((6, 14)), 6),
    case("one column", gaussian[:, :1], 1),
    case("one row", gaussian[:1], 1),
    case("constant rows", np.repeat(rng.standard_normal((30, 1)), 9, 1), 1),
    case("zero rows", zeros, 3),
    case("all zero", np.zeros((9, 5)), 2),
    case("large offset", gaussian + 100, 3),
    case("metric", gaussian, 5, decades, covariance(16, 0.6)),
    case("metric, fewer rows than columns", rng.standard_normal((10, 20)), 4, None, covariance(20, 0.7)),
]
text = ",\n".join(json.dumps(each) for each in cases)
Path(__file__).with_name("low-rank.golden.json").write_text(f"[\n{text}\n]\n")
