"""Writes core/study/test/golden/scipy.golden.json: what SciPy makes of paired samples. Run: python study_golden.py

The values are multiples of 1/1024, so that sums are exact and resampled means that tie, tie in any order
of addition. The BCa interval is the mean of RUNS bootstraps of RESAMPLES each; `spread` is their standard
deviation, which is the Monte-Carlo error of one of them.
"""

import json
from pathlib import Path

import numpy as np
from scipy import stats

RUNS, RESAMPLES = 100, 10_000
CONFIDENCES = [0.9, 0.95, 0.99]
rng = np.random.default_rng(4)


def dyadic(values):
    return np.round(np.asarray(values) * 1024) / 1024


def bootstrap(difference, confidence):
    ends = np.array(
        [
            stats.bootstrap(
                (difference,),
                np.mean,
                n_resamples=RESAMPLES,
                confidence_level=confidence,
                method="BCa",
                rng=np.random.default_rng(run),
            ).confidence_interval
            for run in range(RUNS)
        ]
    )
    low, high = ends.mean(0).tolist()
    return {"low": low, "high": high, "spread": dict(zip(("low", "high"), ends.std(0, ddof=1).tolist()))}


def interval(sample, confidence):
    low, high = stats.t.interval(confidence, len(sample) - 1, np.mean(sample), stats.sem(sample))
    return {
        "n": len(sample),
        "mean": float(np.mean(sample)),
        "sd": float(np.std(sample, ddof=1)),
        "low": float(low),
        "high": float(high),
    }


def case(name, difference, noise=8):
    base = dyadic(noise * rng.standard_normal(len(difference)))
    difference = dyadic(difference)
    values = base + difference
    test = stats.ttest_rel(values, base)
    return {
        "name": name,
        "values": values.tolist(),
        "base": base.tolist(),
        "t": float(test.statistic),
        "p": float(test.pvalue),
        "intervals": [
            {
                "confidence": confidence,
                "summary": interval(values, confidence),
                "difference": interval(difference, confidence),
                "bootstrap": bootstrap(difference, confidence),
            }
            for confidence in CONFIDENCES
        ],
    }


def holm(p):
    """By the definition: the largest adjusted value over all smaller or equal p, one at a time."""

    def step(j):
        smaller = sum(1 for i in range(len(p)) if (p[i], i) < (p[j], j))
        return min(1.0, (len(p) - smaller) * p[j])

    return [max(step(j) for j in range(len(p)) if (p[j], j) <= (p[i], i)) for i in range(len(p))]


FAMILIES = [
    [0.04],
    [0.01, 0.04, 0.03],
    [0.2, 0.2, 0.2, 0.2],
    [0.0, 1.0, 0.5, 1e-300],
    [0.01, 0.011, 0.0099, 0.05],
    *(rng.beta(0.3, 2, size).tolist() for size in (5, 12, 40)),
]

golden = {
    "resamples": RESAMPLES,
    "cases": [
        case("n = 2", [0.5, 1.25]),
        case("n = 3", [0.25, -0.5, 1.75]),
        case("n = 10, normal", 0.5 + rng.standard_normal(10)),
        case("n = 10, no effect", rng.standard_normal(10)),
        case("n = 10, skewed", rng.lognormal(0, 1, 10)),
        case("n = 10, skewed to the left", -rng.lognormal(0, 1, 10)),
        case("n = 10, steps with ties", np.round(rng.normal(1, 2, 10)) / 4),
        case("n = 30, normal", 0.25 + rng.standard_normal(30)),
        case("n = 30, skewed", rng.lognormal(0, 1.2, 30) - 1),
        case("n = 30, overwhelming", 100 + rng.standard_normal(30)),
    ],
    "holm": [{"p": p, "adjusted": holm(p)} for p in FAMILIES],
}

path = Path(__file__).parents[2] / "core/study/test/golden/scipy.golden.json"
path.write_text(json.dumps(golden, indent=1) + "\n")
