"""Makes safetensors.golden.json with the reference implementation.

python3 -m venv venv && venv/bin/pip install safetensors==0.8.0 numpy==2.4.6
venv/bin/python safetensors.py
"""

import base64
import json
from pathlib import Path

import numpy as np
from safetensors import numpy as st

TENSORS = {
    "encoder/kernel": np.array([[1.5, -2.25, 0.0], [np.inf, -np.inf, 3e-40]], np.float32),
    "größe/步": np.array(7.0, np.float32),
    "7": np.array([[-(2**31), 2**31 - 1]], np.int32),
    "mask": np.array([True, False, True]),
    "empty": np.zeros((0, 4), np.float32),
    "codes": np.arange(5, dtype=np.uint8),
    "halves": np.array([1.0, -0.5, 65504.0], np.float16),
    "wide": np.array([2**53 + 1, -1], np.int64),
}
METADATA = {"format": "np", "note": 'quoted "text"\n'}

golden = {
    "file": base64.b64encode(st.save(TENSORS, METADATA)).decode(),
    "metadata": METADATA,
    "tensors": {
        name: {"shape": list(t.shape), "bytes": base64.b64encode(t.tobytes()).decode()}
        for name, t in TENSORS.items()
    },
}
path = Path(__file__).with_name("safetensors.golden.json")
path.write_text(json.dumps(golden, ensure_ascii=False, indent=2) + "\n")
