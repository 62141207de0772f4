"""Measures of one decoded matrix, the same for all rows of the bench:

measure.py '{"matrix": …, "counts": … or null, "decoded": …, "cache": …, "queries": …, "half": …, "seed": …}'

Neighbours are the ten nearest rows by cosine among all rows. Asked are rows of each tenth of the matrix alike
("all"), and of the 5 000 of the largest counts ("top"); only rows of one half, odd or even numbers."""

import json
import sys
from pathlib import Path

import numpy as np

NEAREST = 10
TOP = 5000
QUERIES = 32  # at once


def draw_queries(rows, counts, queries, half, seed):
    random = np.random.default_rng(seed)
    parity = 1 if half == "odd" else 0
    ends = np.arange(11) * rows // 10
    tenths = [np.arange(a, b) for a, b in zip(ends, ends[1:])]
    groups = [draw(random, tenth[tenth % 2 == parity], queries // 10) for tenth in tenths]
    if counts is None:
        return groups, np.empty(0, np.int64)
    top = np.sort(np.argsort(-counts, kind="stable")[:TOP])
    return groups, draw(random, top[top % 2 == parity], queries // 2)


def draw(random, rows, count):
    return np.sort(random.choice(rows, min(count, len(rows)), replace=False))


def to_unit(x):
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(norms > 0, norms, 1)


def scores_in_turn(x, asked):
    """Cosines of some queries with all rows, their own left out; with the place of the queries."""
    unit = to_unit(x)
    for i in range(0, len(asked), QUERIES):
        some = asked[i : i + QUERIES]
        scores = unit[some] @ unit.T
        scores[np.arange(len(some)), some] = -np.inf
        yield slice(i, i + len(some)), scores


def find_nearest(x, asked):
    count = min(NEAREST, len(x) - 1)
    nearest = np.empty((len(asked), count), np.int64)
    for place, scores in scores_in_turn(x, asked):
        nearest[place] = np.argpartition(scores, -count, axis=1)[:, -count:]
    return nearest


def share_kept(x, asked, truth):
    """For each query the share of the true neighbours that are among the nearest. Rows that are equally near share the
    places that are left, so that rows with the same codes count neither for nor against."""
    count = truth.shape[1]
    kept = np.empty(len(asked))
    for place, scores in scores_in_turn(x, asked):
        last = np.partition(scores, -count, axis=1)[:, -count][:, None]
        above, tied = (scores > last).sum(1), (scores == last).sum(1)
        true = np.take_along_axis(scores, truth[place], 1)
        chance = ((count - above) / tied)[:, None]
        kept[place] = ((true > last) + (true == last) * chance).mean(1)
    return kept


def find_truth(x, asked, path):
    if path.exists():
        return np.load(path)
    truth = find_nearest(x, asked)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, truth)
    return truth


def mean_of_groups(groups):
    """Mean of the means of groups that are as large as one another, its standard error, and the means."""
    means = [float(group.mean()) for group in groups]
    error = np.sqrt(sum(group.var(ddof=1) / len(group) for group in groups if len(group) > 1)) / len(groups)
    return {"mean": float(np.mean(means)), "error": float(error), "groups": means}


def measure_errors(x, y, weights):
    """‖X − Y‖ / ‖X‖, the same with rows weighted, and the root of the mean squared sine between rows."""
    sums = np.zeros((3, len(x)))
    for i in range(0, len(x), 16384):
        a, b = x[i : i + 16384].astype(np.float64), y[i : i + 16384].astype(np.float64)
        norms, products = (a**2).sum(1), (a * b).sum(1) ** 2
        cosines = products / np.maximum(norms * (b**2).sum(1), 1e-300)
        sums[:, i : i + 16384] = ((a - b) ** 2).sum(1), norms, np.clip(1 - cosines, 0, 1)
    error, norm, sine = sums
    share = lambda w: float(np.sqrt((w * error).sum() / (w * norm).sum()))  # noqa: E731
    return {
        "error": share(np.ones(len(x))),
        "weighted": None if weights is None else share(weights),
        "sine": float(np.sqrt(sine[norm > 0].mean())),
    }


def main():
    request = json.loads(sys.argv[1])
    x, y = np.load(request["matrix"]), np.load(request["decoded"])
    if not np.isfinite(y).all():
        raise SystemExit("the decoded matrix has numbers that are not finite")
    counts = request["counts"] and np.array(json.load(open(request["counts"])), np.float64)
    groups, top = draw_queries(len(x), counts, *(request[name] for name in ("queries", "half", "seed")))
    asked = np.concatenate([*groups, top])
    truth = find_truth(x, asked, Path(request["cache"]))
    kept = share_kept(y, asked, truth)
    ends = np.cumsum([len(group) for group in groups])
    print(
        json.dumps(
            {
                **measure_errors(x, y, counts),
                "all": mean_of_groups(np.split(kept[: ends[-1]], ends[:-1])),
                "top": mean_of_groups([kept[ends[-1] :]]) if len(top) else None,
            }
        )
    )


if __name__ == "__main__":
    main()
