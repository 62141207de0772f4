"""One row of a peer: peers.py '{"matrix": …, "counts": … or null, "decoded": …, "method": …, "setting": {…}}'

Compresses, counts the bytes of what it made, writes the decoded matrix, prints CPU seconds and peak memory. Scales,
tables and rotations are rounded to float16 and counted so, which is less than the libraries themselves store."""

import json
import resource
import sys
import time

import numpy as np

SAMPLE = 65536  # rows that tables are learned from: faiss takes 256 for each of 256 entries
CHUNK = 16384
HEADER_BYTES = 128


def half(values):
    return np.asarray(values).astype(np.float16).astype(np.float32)


def code_rows(x, bits, ranges=(1.0,)):
    """Codes from -2^(b-1) to 2^(b-1) - 1 with a float16 scale for each row: of some ranges that of the least error."""
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    codes = np.empty(x.shape, np.int8)
    scales = np.empty(len(x), np.float16)
    for start in range(0, len(x), CHUNK):
        part = x[start : start + CHUNK]
        largest = np.abs(part).max(1) / high
        least = np.full(len(part), np.inf, np.float32)
        for share in ranges:
            scale = np.maximum(half(largest * share), 6.2e-5)[:, None]
            code = np.clip(np.rint(part / scale), low, high)
            error = ((part - code * scale) ** 2).sum(1)
            better = error < least
            least[better] = error[better]
            codes[start : start + CHUNK][better] = code[better]
            scales[start : start + CHUNK][better] = scale[better, 0]
    return codes, scales


def decode_rows(codes, scales):
    return codes * scales.astype(np.float32)[:, None]


def plain_rows(x, _, bits):
    codes, scales = code_rows(x, bits, (1.0,) if bits == 8 else np.linspace(0.5, 1, 11))
    packed = codes if bits == 8 else pack_pairs(codes)
    return [packed, scales], lambda: decode_rows(codes, scales)


def pack_pairs(codes):
    even = codes if codes.shape[1] % 2 == 0 else np.pad(codes, ((0, 0), (0, 1)))
    nibbles = (even + 8).astype(np.uint8)
    return nibbles[:, ::2] | nibbles[:, 1::2] << 4


def svd(x, weights, rank, weighted=0):
    roots = np.sqrt(weights)[:, None] if weighted else None
    u, s, vt = np.linalg.svd(x * roots if weighted else x, full_matrices=False)
    left = u[:, :rank] * s[:rank]
    left = code_rows(left / roots if weighted else left, 8)
    right = code_rows(vt[:rank], 8)
    return [*left, *right], lambda: decode_rows(*left) @ decode_rows(*right)


def code_tensor(x):
    scale = np.float32(np.abs(x).max() / 127)
    return np.rint(x / scale).astype(np.int8), scale


def pca(x, _, rank):
    from sklearn.decomposition import PCA

    model = PCA(n_components=rank, svd_solver="covariance_eigh")
    (codes, scale), (basis, basis_scale) = code_tensor(model.fit_transform(x)), code_tensor(model.components_)
    mean = model.mean_.astype(np.float32)
    decode = lambda: (codes * scale) @ (basis * basis_scale) + mean  # noqa: E731
    return [codes, scale, basis, basis_scale, mean], decode


def sample_of(x):
    if len(x) <= SAMPLE:
        return x
    return x[np.sort(np.random.default_rng(0).choice(len(x), SAMPLE, replace=False))]


def in_chunks(convert, rows):
    return np.concatenate([convert(rows[i : i + CHUNK]) for i in range(0, len(rows), CHUNK)])


def learn_products(columns, parts, bits, sample):
    import faiss

    quantizer = faiss.ProductQuantizer(columns, parts, bits)
    quantizer.train(np.ascontiguousarray(sample))
    tables = half(faiss.vector_to_array(quantizer.centroids))
    faiss.copy_array_to_vector(tables, quantizer.centroids)
    return quantizer, tables


def products(x, _, parts, bits):
    """faiss wants parts of one width: columns of zeros fill the narrower ones; they are not counted."""
    columns = x.shape[1]
    width = -(-columns // parts)
    ends = np.arange(parts + 1) * columns // parts
    place = np.concatenate([p * width + np.arange(ends[p + 1] - ends[p]) for p in range(parts)])

    def widen(rows):
        wide = np.zeros((len(rows), parts * width), np.float32)
        wide[:, place] = rows
        return wide

    quantizer, tables = learn_products(parts * width, parts, bits, widen(sample_of(x)))
    codes = in_chunks(lambda rows: quantizer.compute_codes(widen(rows)), x)
    used = tables.reshape(parts, 2**bits, width).transpose(0, 2, 1).reshape(parts * width, -1)[place]
    decode = lambda: in_chunks(lambda rows: quantizer.decode(rows)[:, place], codes)  # noqa: E731
    return [codes, used.astype(np.float16)], decode


def rotated_products(x, _, parts, bits):
    import faiss

    columns = x.shape[1]
    padded = parts * -(-columns // parts)
    rotation = faiss.OPQMatrix(columns, parts, padded)
    pq = faiss.ProductQuantizer(padded, parts, bits)  # its training goes by this one's settings
    rotation.pq = pq
    sample = np.ascontiguousarray(sample_of(x))
    rotation.train(sample)
    a = half(faiss.vector_to_array(rotation.A)).reshape(padded, columns)
    quantizer, tables = learn_products(padded, parts, bits, sample @ a.T)
    codes = in_chunks(lambda rows: quantizer.compute_codes(np.ascontiguousarray(rows @ a.T)), x)
    return [codes, tables.astype(np.float16), a.astype(np.float16)], lambda: in_chunks(
        lambda rows: quantizer.decode(rows) @ a, codes
    )


def residuals(x, _, stages, bits):
    import faiss

    quantizer = faiss.ResidualQuantizer(x.shape[1], stages, bits)
    quantizer.train(np.ascontiguousarray(sample_of(x)))
    tables = half(faiss.vector_to_array(quantizer.codebooks))
    faiss.copy_array_to_vector(tables, quantizer.codebooks)
    codes = in_chunks(lambda rows: quantizer.compute_codes(np.ascontiguousarray(rows)), x)
    return [codes, tables.astype(np.float16)], lambda: in_chunks(quantizer.decode, codes)


METHODS = {
    "NumPy SVD": svd,
    "NumPy weighted SVD": svd,
    "scikit-learn PCA": pca,
    "NumPy rows": plain_rows,
    "faiss PQ": products,
    "faiss OPQ": rotated_products,
    "faiss RQ": residuals,
}


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)


def main():
    request = json.loads(sys.argv[1])
    name = request["method"].split(",")[0]
    if name.startswith("faiss"):
        import faiss

        faiss.omp_set_num_threads(1)
    elif name.startswith("scikit-learn"):
        import sklearn.decomposition  # noqa: F401
    x = np.load(request["matrix"])
    weights = request["counts"] and np.array(json.load(open(request["counts"])), np.float32)
    base, started = peak_mib(), time.process_time()
    parts, decode = METHODS[name](x, weights, **request["setting"])
    seconds, peak, started = time.process_time() - started, peak_mib(), time.process_time()
    decoded = np.ascontiguousarray(decode(), np.float32)
    decode_seconds = time.process_time() - started
    np.save(request["decoded"], decoded)
    size = sum(np.asarray(part).nbytes for part in parts) + HEADER_BYTES
    print(json.dumps({"bytes": size, "seconds": seconds, "decodeSeconds": decode_seconds, "base": base, "peak": peak}))


if __name__ == "__main__":
    main()
