"""Reads an artifact of Espalier with NumPy alone: python read_artifact.py FOLDER [LAYER ROWS COLUMNS]"""
import hashlib, json, read_block_codes, sys
from pathlib import Path
import numpy as np

STORED = {"F32": "<f4", "I32": "<i4", "I16": "<i2", "U16": "<u2", "I8": "i1", "U8": "u1", "BOOL": "?"}
NF4 = np.array([-1, -0.6961928, -0.52507305, -0.3949175, -0.28444138, -0.18477343, -0.091050036, 0,
                0.0795803, 0.1609302, 0.2461123, 0.33791524, 0.44070983, 0.562617, 0.72295684, 1], "<f4")
sha256 = lambda data: hashlib.sha256(data).hexdigest()

def read_artifact(folder):
    """The manifest, and arrays by weight path: every integer type in the file means int32."""
    manifest, arrays = json.loads(Path(folder, "manifest.json").read_text(encoding="utf-8")), {}
    assert (manifest["format"], manifest["version"]) == ("espalier-artifact", 1)
    data = Path(folder, manifest["weights"]["file"]).read_bytes()
    assert sha256(data) == manifest["weights"]["sha256"], "the weights were changed"
    start = 8 + int.from_bytes(data[:8], "little")
    for path, entry in json.loads(data[8:start]).items():
        if path != "__metadata__":
            begin, end = entry["data_offsets"]
            array = np.frombuffer(data[start + begin : start + end], STORED[entry["dtype"]]).reshape(entry["shape"])
            arrays[path] = array.astype("<i4") if array.dtype.kind in "iu" else array
    return manifest, arrays

def unpacked(words, width, shape):
    bit = np.arange(np.prod(shape)).reshape(shape) * width
    return (words.view("<u4")[bit // 32] >> (bit % 32).astype("<u4")).astype(int) % 2**width

def codes_of(weight, bits, shape):
    code = unpacked(weight("_codes"), 2 if bits == 3 else bits, shape)
    return code if bits != 3 else code + 4 * unpacked(weight("_codes")[(code.size + 15) // 16 :], 1, shape)

def vectors(weight, shape, bits, parts=1, stages=1, transposed=False, rotated=False):
    rows, columns = shape[::-1] if transposed else shape
    spans = [(p * columns // parts, (p + 1) * columns // parts) for p in range(parts)] * stages
    code, total, table = codes_of(weight, bits, (rows, len(spans))), np.zeros((rows, columns), "<f4"), 0
    for piece, (begin, end) in enumerate(spans):
        entries = weight("_codebook")[table : (table := table + 2**bits * (end - begin))].reshape(2**bits, -1)
        total[:, begin:end] += entries[code[:, piece]]
    total = total @ weight("_rotation").reshape(columns, columns).T if rotated else total
    return total.T if transposed else total

def decoded(weight, shape, kind="float32", bits=4, scheme="", granularity=None, columns=None, **vector):
    """A stored matrix in float32; `weight` gives its parts by suffix. The arithmetic: the quantizer's README."""
    if kind == "float32": return weight("").reshape(shape)
    if kind in ("product", "residual"): return vectors(weight, shape, bits, **vector)
    if kind == "block-codes": return read_block_codes.decode(weight, shape, **vector)
    code = codes_of(weight, bits, shape)
    row, column = np.indices(shape)
    if kind == "codebook": return weight("_codebook")[column // (columns or shape[1]) * 2**bits + code]
    of_run = lambda group: row * -(-shape[1] // group) + column // group
    named = {"tensor": 0 * row, "row": row, "column": column}
    group = of_run(**granularity) if isinstance(granularity, dict) else named[granularity]
    level = {"nf4": NF4, "uniform": np.arange(2**bits) - (scheme == "symmetric") * 2 ** (bits - 1)}[kind]
    scaled = level.astype("<f4")[code] * weight("_scale")[group]
    return scaled + weight("_offset")[group] if scheme == "asymmetric" else scaled

def matrix_of(manifest, arrays, layer, rows, columns):
    """A layer's matrix in float32 (of a low-rank softmax `[units, inputs]`), and what it is stored as, decoded."""
    config = next(each["config"] for each in manifest["topology"]["config"]["layers"] if each["name"] == layer)
    storage, ranks = config.get("storage", {}), [block["rank"] or 0 for block in config.get("blocks", [])]
    blocks = {f"u{p}" if r else f"w{p}": (config["blocks"][p]["rows"], r or columns) for p, r in enumerate(ranks)}
    shapes = blocks or {"embeddings" if "outputDim" in config else "kernel": (rows, columns)}
    if any(ranks): shapes = {**blocks, "basis": (sum(ranks), columns)}
    parts = {name: decoded(lambda suffix: arrays[f"{layer}/{name}{suffix}"], shape, **storage.get(name, {}))
             for name, shape in shapes.items()}
    rows = [parts[name] @ parts["basis"][end - rank : end] if rank else parts[name]
            for name, rank, end in zip(blocks, ranks, np.cumsum(ranks))] or list(parts.values())
    return np.concatenate(rows)[arrays[f"{layer}/index"] if config.get("permuted") else slice(None)], parts

if __name__ == "__main__":
    manifest, arrays = read_artifact(sys.argv[1])
    matrix, found = matrix_of(manifest, arrays, sys.argv[2], *map(int, sys.argv[3:])) if sys.argv[2:] else (None, arrays)
    summary = {path: [str(a.dtype), a.shape, sha256(a.tobytes())] for path, a in found.items()}
    print(json.dumps({"found": summary, "matrix": matrix.tolist()} if sys.argv[2:] else summary))
