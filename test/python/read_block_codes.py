"""Decodes a matrix in codes of blocks with NumPy alone; the format: the README of plugins/block-low-rank."""
import base64, re
from functools import cache
from itertools import groupby
from math import erfc
from pathlib import Path
from statistics import NormalDist
import numpy as np

DATA = Path(__file__).parents[2] / "plugins/block-low-rank/src/codes/codebook-data.ts"
ENTRY = r"bits: (\d+),\s*count: (\d+),\s*distortion: [\d.]+,\s*values:\s*'([^']+)'"
# By bits and numbers that share a code.
CODEBOOKS = {
    (int(bits), int(count)): np.frombuffer(base64.b64decode(text), "<i2").reshape(-1, int(count)) / 8192
    for bits, count, text in re.findall(ENTRY, DATA.read_text(encoding="utf-8"))
}

def cells_of(x):
    """Bounds, densities there, masses and moments of the numbers that are nearest to positive levels; their error."""
    bound = np.concatenate([[0], (x[1:] + x[:-1]) / 2])
    density = np.append(np.exp(-(bound**2) / 2) / (2 * np.pi) ** 0.5, 0)
    above = np.array([erfc(b / 2**0.5) / 2 for b in bound] + [0])
    mass, moment = above[:-1] - above[1:], density[:-1] - density[1:]
    return bound, density, mass, moment, -(2 * x * moment - x**2 * mass).sum()

@cache
def levels(bits):
    """The 2**bits levels of least squared error for normal numbers (Max 1960), by damped Newton's steps."""
    half = 2 ** (bits - 1)
    x = 3**0.5 * np.array([NormalDist().inv_cdf(0.5 + (i + 0.5) / half / 2) for i in range(half)])
    for _ in range(100):
        bound, density, mass, moment, error = cells_of(x)
        lower, upper = (bound[1:] - x[1:]) * density[1:-1] / 2, -(bound[1:] - x[:-1]) * density[1:-1] / 2
        slopes = np.diag(mass + np.append(0, lower) + np.append(upper, 0)) + np.diag(lower, -1) + np.diag(upper, 1)
        step = np.linalg.solve(slopes, x * mass - moment)
        damped = (x - step / 2**k for k in range(6))
        better = (y for y in damped if np.all(np.diff(y, prepend=0) > 0) and cells_of(y)[-1] <= error)
        x = next(better, moment / mass)
        if np.abs(step).max() < 1e-9: break
    return np.concatenate([-x[::-1], x])

def bits_of(words):
    """All bits, the lowest of each word first."""
    return np.unpackbits(words.view("u1"), bitorder="little").astype(int)

def numbers(bits):
    """`[..., width]` bits as numbers, the lowest bit first."""
    return bits @ 2 ** np.arange(bits.shape[-1])

def pieces_of(width):
    """Bits, and the numbers of the directions that share a code, in the order of codes."""
    order = sorted((k for k, bits in enumerate(width) if bits), key=lambda k: (-width[k], k))
    for bits, run in groupby(order, key=lambda k: width[k]):
        run, most = list(run), max([1, *(count for of, count in CODEBOOKS if of == bits)])
        yield from ((bits, run[i : i + most]) for i in range(0, len(run), most))

def values_of(bits, count):
    return levels(bits).reshape(-1, 1) if count == 1 else CODEBOOKS[bits, count]

def decode(weight, shape, blocks, shared=0, mapped=False, transposed=False):
    """`weight` gives the parts by suffix; each is there if it has content."""
    columns = shape[0] if transposed else shape[1]
    widths = [[int(digit, 16) for digit in block["bits"]] for block in blocks]
    own = [len(each) if block["basis"] == "own" else 0 for block, each in zip(blocks, widths)]
    begins = shared + np.cumsum([0, *own])
    basis = np.zeros((0, columns))
    if begins[-1]:
        basis = weight("_basis").view("i1")[: begins[-1] * columns].astype(float).reshape(-1, columns)
        basis /= np.linalg.norm(basis, axis=1, keepdims=True)
    kinds = {"shared": lambda p: basis[:shared], "own": lambda p: basis[begins[p] :], "none": lambda p: np.eye(columns)}
    scales = weight("_scales").view("u1").astype(float) if any(map(sum, widths)) else np.zeros(0)
    ranges, word, scale, decoded = weight("_ranges").astype(float).reshape(-1, 4), 0, 0, []
    for p, (block, width) in enumerate(zip(blocks, widths)):
        rows, length_bits = block["rows"], block.get("lengths", 0)
        total = length_bits + sum(width)
        words = -(-rows * total // 32)
        bits = bits_of(weight("_codes")[word : (word := word + words)])[: rows * total].reshape(rows, total) if words else None
        result, at, (a, b, c, d) = np.zeros((rows, columns)), length_bits, ranges[p]
        for each, directions in pieces_of(width):
            code = numbers(bits[:, at : (at := at + each * len(directions))])
            for k, value in zip(directions, values_of(each, len(directions))[code].T):
                result += np.outer(np.exp(a + b * scales[scale]) * value, kinds[block["basis"]](p)[k])
                scale += 1
        if length_bits:
            code = numbers(bits[:, :length_bits])
            result *= np.where(code > 0, np.exp(c + d * (code - 1)), 0)[:, None]
        decoded.append(result)
    matrix = np.concatenate(decoded)
    if mapped:
        width = (len(blocks) - 1).bit_length()
        owners = numbers(bits_of(weight("_map"))[: len(matrix) * width].reshape(-1, width))
        matrix = matrix[np.argsort(np.argsort(owners, kind="stable"))]
    return (matrix.T if transposed else matrix).astype("<f4")
