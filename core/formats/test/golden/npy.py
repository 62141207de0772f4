"""Makes npy.golden.json with NumPy.

python3 -m venv venv && venv/bin/pip install numpy==2.4.6
venv/bin/python npy.py
"""

import base64
import io
import json
from pathlib import Path

import numpy as np

MATRIX = np.array([[0.5, -1.5, 2.0], [np.inf, -0.0, 6e-5]])
COUNTS = np.array([[1, 2, 3], [100, 0, 127]])
CUBE = np.arange(24).reshape(2, 3, 4)
ARRAYS = {
    **{f"float {t}": (MATRIX.astype(t), (1, 0)) for t in ("<f2", "<f4", "<f8", ">f2", ">f4", ">f8")},
    **{
        f"integer {t}": (COUNTS.astype(t), (1, 0))
        for t in ("i1", "u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", ">i2", ">u4", ">i8")
    },
    "bool": (COUNTS > 2, (1, 0)),
    "columns first": (np.asfortranarray(MATRIX.astype("<f4")), (1, 0)),
    "columns first, three dimensions": (np.asfortranarray(CUBE.astype("<i4")), (1, 0)),
    "columns first, big-endian": (np.asfortranarray(CUBE.astype(">i2")), (1, 0)),
    "scalar": (np.array(7.0, "<f4"), (1, 0)),
    "empty": (np.zeros((0, 4), "<f4"), (1, 0)),
    "vector": (np.arange(3, dtype="<i4"), (1, 0)),
    "version 2": (MATRIX.astype("<f4"), (2, 0)),
    "version 3": (MATRIX.astype("<f4"), (3, 0)),
}


def file_of(array, version):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=version)
    return base64.b64encode(stream.getvalue()).decode()


def little(array):
    return np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"))).tobytes()


golden = {
    name: {
        "file": file_of(array, version),
        "shape": list(array.shape),
        "kind": array.dtype.kind + str(8 * array.dtype.itemsize),
        "bytes": base64.b64encode(little(array)).decode(),
    }
    for name, (array, version) in ARRAYS.items()
}
path = Path(__file__).with_name("npy.golden.json")
path.write_text(json.dumps(golden, indent=2) + "\n")
