"""Writes core/study/test/golden/equivalence.golden.json: two one-sided tests by SciPy. Run: python equivalence_golden.py"""

import json
from pathlib import Path

import numpy as np
from scipy import stats

rng = np.random.default_rng(15)
cases = []
for n in (2, 3, 5, 12, 40):
    for shift in (-0.75, -0.25, 0.0, 0.1, 0.5, 2.0):
        difference = np.round((shift + 0.5 * rng.standard_normal(n)) * 1024) / 1024
        margin = 0.5
        lower = stats.ttest_1samp(difference, -margin, alternative="greater").pvalue
        upper = stats.ttest_1samp(difference, margin, alternative="less").pvalue
        low, high = stats.t.interval(0.95, n - 1, difference.mean(), stats.sem(difference))
        cases.append(
            {
                "difference": difference.tolist(),
                "margin": margin,
                "p": float(max(lower, upper)),
                "excludesGain": bool(high < margin),
                "excludesLoss": bool(low > -margin),
                "above": bool(low >= margin),
                "below": bool(high <= -margin),
            }
        )

path = Path(__file__).parents[2] / "core/study/test/golden/equivalence.golden.json"
path.write_text(json.dumps(cases, indent=1) + "\n")
