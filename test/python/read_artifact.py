"""Reads an artifact of Espalier with NumPy alone: python read_artifact.py FOLDER"""
import hashlib
import json
import sys
from pathlib import Path
import numpy as np

STORED = {"F32": "<f4", "I32": "<i4", "I16": "<i2", "U16": "<u2", "I8": "i1", "U8": "u1", "BOOL": "?"}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def read_artifact(folder):
    """The manifest, and arrays by weight path: every integer type in the file means int32."""
    manifest = json.loads(Path(folder, "manifest.json").read_text(encoding="utf-8"))
    assert (manifest["format"], manifest["version"]) == ("espalier-artifact", 1)
    data = Path(folder, manifest["weights"]["file"]).read_bytes()
    assert sha256(data) == manifest["weights"]["sha256"], "the weights were changed"
    start = 8 + int.from_bytes(data[:8], "little")
    arrays = {}
    for path, entry in json.loads(data[8:start]).items():
        if path != "__metadata__":
            begin, end = entry["data_offsets"]
            stored = np.frombuffer(data[start + begin : start + end], STORED[entry["dtype"]])
            array = stored.reshape(entry["shape"])
            arrays[path] = array.astype("<i4") if array.dtype.kind in "iu" else array
    return manifest, arrays


if __name__ == "__main__":
    found = {path: [str(a.dtype), a.shape, sha256(a.tobytes())] for path, a in read_artifact(sys.argv[1])[1].items()}
    print(json.dumps(found))
