"""Reads a matrix file that Espalier wrote, as Python programs do: python read_matrices.py FILE

.npy by NumPy; .safetensors by the package safetensors where it is there, else by the format's own description; .vec as
gensim and fastText's examples read it. Prints, for each tensor, dtype, shape and SHA-256 of its bytes, and the words."""
import hashlib, json, sys
from pathlib import Path
import numpy as np

DTYPES = {"F32": "<f4", "F16": "<f2", "I64": "<i8"}

def read_safetensors(path):
    try:
        from safetensors.numpy import load_file
        return load_file(path)
    except ImportError:
        data = Path(path).read_bytes()
        start = 8 + int.from_bytes(data[:8], "little")
        entries = {name: e for name, e in json.loads(data[8:start]).items() if name != "__metadata__"}
        part = lambda begin, end: data[start + begin : start + end]
        return {name: np.frombuffer(part(*e["data_offsets"]), DTYPES[e["dtype"]]).reshape(e["shape"]) for name, e in entries.items()}

def read_vec(path):
    with open(path, encoding="utf-8", newline="\n") as lines:
        count, columns = map(int, next(lines).split())
        rows = [line.rstrip("\n").split(" ") for line in lines]
    assert len(rows) == count and all(len(row) == columns + 1 for row in rows)
    return [row[0] for row in rows], np.array([[np.float32(x) for x in row[1:]] for row in rows], "<f4")

path, words = sys.argv[1], None
if path.endswith(".npy"): arrays = {"": np.load(path, allow_pickle=False)}
elif path.endswith(".safetensors"): arrays = read_safetensors(path)
else: words, array = read_vec(path); arrays = {"": array}
tell = lambda a: [str(a.dtype), list(a.shape), hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest()]
print(json.dumps({"tensors": {name: tell(a) for name, a in arrays.items()}, "words": words}))
