"""One contender of linalg.ts: linalg.py <folder> <rows> <columns> <rank> <route>"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

folder = Path(sys.argv[1])
rows, columns, rank = map(int, sys.argv[2:5])
route = sys.argv[5]
a = np.fromfile(folder / "matrix", np.float32).reshape(rows, columns)
w = np.fromfile(folder / "weights", np.float32)


def from_gram(gram):
    values, vectors = np.linalg.eigh(gram)
    v = vectors[:, -rank:].astype(np.float32)
    return a @ v, v, np.trace(gram) - values[-rank:].sum()


def whole(dtype):
    scaled = a.astype(dtype, copy=False) * np.sqrt(w.astype(dtype, copy=False))[:, None]
    return from_gram(scaled.T @ scaled)


def chunks():
    gram = np.zeros((columns, columns), np.float32)
    roots = np.sqrt(w)[:, None]
    for i in range(0, rows, 8192):
        scaled = a[i : i + 8192] * roots[i : i + 8192]
        gram += scaled.T @ scaled
    return from_gram(gram)


def sklearn():
    from sklearn.utils.extmath import randomized_svd

    roots = np.sqrt(w)[:, None]
    u, s, vt = randomized_svd(a * roots, rank, random_state=0)
    return u * s / roots, vt.T, None


def share_left_out(u, v):
    error = total = 0.0
    for i in range(0, rows, 8192):
        part = a[i : i + 8192].astype(np.float64)
        rest = part - u[i : i + 8192].astype(np.float64) @ v.T.astype(np.float64)
        weights = w[i : i + 8192].astype(np.float64)
        error += weights @ (rest**2).sum(1)
        total += weights @ (part**2).sum(1)
    return error / total


routes = {
    "float32": lambda: whole(np.float32),
    "float64": lambda: whole(np.float64),
    "chunks": chunks,
    "sklearn": sklearn,
}
u, v, _ = routes[route]()
milliseconds = []
for _ in range(3):
    start = time.perf_counter()
    u, v, _ = routes[route]()
    milliseconds.append(1000 * (time.perf_counter() - start))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"milliseconds": milliseconds, "peak": peak, "share": float(share_left_out(u, v))}))
