"""Makes files.golden.json: small files that NumPy, PyTorch and safetensors wrote, and what is in them.

python3 -m venv venv && venv/bin/pip install numpy==2.4.6 torch==2.13.0 safetensors==0.8.0
venv/bin/python files.py

No gensim is needed: vectors of words are written here as the programs that define the formats do. word2vec.c prints
"%lld %lld\n", then for each word "%s ", the floats, and "\n"; gensim leaves the last newline out. GloVe prints the word
and "%lf" numbers between blanks; fastText the header of word2vec and a blank behind each number.
"""

import base64
import collections
import io
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

WORDS = ["the", "café", "naïve-ish", "数", "a.b", "</s>"]
VECTORS = np.random.default_rng(0).normal(0, 1, (len(WORDS), 5)).astype("<f4")
VECTORS[1, :4] = [-0.0, 1e-7, 3.4e38, 1e-45]
DTYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64",
          torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8",
          torch.bool: "BOOL", torch.uint16: "U16", torch.float8_e4m3fn: "F8_E4M3"}
text = lambda data: base64.b64encode(data).decode()


def bits(tensor):
    flat = tensor.contiguous().reshape(-1)
    return {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape), "bytes": text(flat.view(torch.uint8).numpy().tobytes())}


def array_bits(array):
    kind = {"f": "F", "i": "I", "u": "U", "b": "BOOL"}[array.dtype.kind]
    little = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<")))
    dtype = kind if kind == "BOOL" else f"{kind}{8 * array.dtype.itemsize}"
    return {"dtype": dtype, "shape": list(array.shape), "bytes": text(little.tobytes())}


def case(files, tensors, open_as=None, words=None):
    return {"files": {name: text(data) for name, data in files.items()}, "open": open_as or next(iter(files)),
            "tensors": tensors, "words": words}


def saved_by(save, **arrays):
    stream = io.BytesIO()
    save(stream, **arrays)
    return stream.getvalue()


def torch_file(value, **options):
    stream = io.BytesIO()
    torch.save(value, stream, **options)
    return stream.getvalue()


def safetensors_file(tensors):
    with tempfile.TemporaryDirectory() as folder:
        save_file(tensors, f"{folder}/x")
        return Path(folder, "x").read_bytes()


def numbers(row, form="%.9g"):
    return " ".join(form % x for x in row)


arrays = {"plain": VECTORS, "half": VECTORS.astype("<f2") * 0 + 2, "columns first": np.asfortranarray(VECTORS),
          "big-endian": np.arange(6).reshape(2, 3).astype(">i2"), "scalar": np.array(7.0), "empty": np.zeros((0, 4), "<f4")}
generator = torch.Generator().manual_seed(0)
draw = lambda *shape: torch.randn(*shape, generator=generator)
base = draw(6, 4)
state = collections.OrderedDict(
    {"embedding.weight": base, "tied.weight": base, "half.weight": draw(3, 2).half(), "bf.weight": draw(3, 2).bfloat16(),
     "turned.weight": base.T, "part.weight": base[1:5:2, 1:3], "permuted": draw(2, 3, 4).permute(2, 0, 1), "row": base[2],
     "double": draw(2).double(), "long": torch.tensor([[2**53 + 1, -1]]), "bool": torch.tensor([True, False]), "scalar": torch.tensor(3.5),
     "byte": torch.tensor([1, 255], dtype=torch.uint8), "empty": torch.zeros(0, 3), "u16": torch.tensor([1, 65535], dtype=torch.uint16),
     "f8": torch.tensor([1.0, -2.0]).to(torch.float8_e4m3fn)})
module = torch.nn.Sequential(torch.nn.Embedding(4, 3), torch.nn.BatchNorm1d(3))
shards = {"model-00001-of-00002.safetensors": {"a.weight": base, "b.weight": draw(2, 2).bfloat16()},
          "model-00002-of-00002.safetensors": {"c.weight": draw(3, 2).half()}}
index = {"metadata": {"total_size": 1}, "weight_map": {name: file for file, held in shards.items() for name in held}}
header = f"{len(WORDS)} {VECTORS.shape[1]}\n"
one = {"vectors": array_bits(VECTORS)}
tokenizer = {"model": {"type": "WordPiece", "vocab": {word: i for i, word in enumerate(WORDS[:-1])}},
             "added_tokens": [{"id": len(WORDS) - 1, "content": WORDS[-1], "special": True}]}
tensors_of = lambda held: {name: bits(tensor) for name, tensor in held.items()}

golden = {
    "npz, stored": case({"a.npz": saved_by(np.savez, **arrays)}, {k: array_bits(a) for k, a in arrays.items()}),
    "npz, deflated": case({"a.npz": saved_by(np.savez_compressed, **arrays)}, {k: array_bits(a) for k, a in arrays.items()}),
    "state dict": case({"model.pt": torch_file(state)}, tensors_of(state)),
    "state dict, protocol 4": case({"model.bin": torch_file(state, pickle_protocol=4)}, tensors_of(state)),
    "state dict of modules with parameters": case({"m.pt": torch_file(dict(module.named_parameters()))}, tensors_of({k: p.data for k, p in module.named_parameters()})),
    "state dict of a module": case({"m.pt": torch_file(module.state_dict())}, tensors_of(module.state_dict())),
    "checkpoint": case({"c.pth": torch_file({"epoch": 3, "state_dict": state, "loss": 0.5, "log": ["a", (1, None)]})}, tensors_of(state)),
    "one tensor": case({"vectors.pt": torch_file(base)}, {"vectors": bits(base)}),
    "shards by their index": case({**{n: safetensors_file(h) for n, h in shards.items()}, "model.safetensors.index.json": json.dumps(index).encode()},
                                  tensors_of({k: t for h in shards.values() for k, t in h.items()}), "model.safetensors.index.json"),
    "shards by their folder": case({**{n: safetensors_file(h) for n, h in shards.items()}, "model.safetensors.index.json": json.dumps(index).encode()},
                                   tensors_of({k: t for h in shards.values() for k, t in h.items()}), "."),
    "GloVe text": case({"vectors.txt": "".join(f"{w} {numbers(v)}\n" for w, v in zip(WORDS, VECTORS)).encode()}, one, words=WORDS),
    "word2vec text": case({"vectors.txt": (header + "".join(f"{w} {numbers(v)}\r\n" for w, v in zip(WORDS, VECTORS))).encode()}, one, words=WORDS),
    "fastText .vec": case({"vectors.vec": (header + "".join(f"{w} {numbers(v)} \n" for w, v in zip(WORDS, VECTORS))).encode()}, one, words=WORDS),
    "text of many digits": case({"vectors.txt": "".join(f"{w}\t{numbers(v.astype('f8'), '%.25f')}\n" for w, v in zip(WORDS[2:], VECTORS[2:])).encode()},
                                {"vectors": array_bits(VECTORS[2:])}, words=WORDS[2:]),
    "word2vec binary of word2vec.c": case({"vectors.bin": header.encode() + b"".join(w.encode() + b" " + v.tobytes() + b"\n" for w, v in zip(WORDS, VECTORS))}, one, words=WORDS),
    "word2vec binary of gensim": case({"vectors.bin": header.encode() + b"".join(w.encode() + b" " + v.tobytes() for w, v in zip(WORDS, VECTORS))}, one, words=WORDS),
    "model2vec": case({"model.safetensors": safetensors_file({"embeddings": torch.tensor(VECTORS)}), "config.json": b"{}", "tokenizer.json": json.dumps(tokenizer).encode()},
                      {"embeddings": array_bits(VECTORS)}, ".", WORDS),
    "pytorch_model.bin in a folder": case({"pytorch_model.bin": torch_file(state), "config.json": b"{}"}, tensors_of(state), "."),
}
refused = {
    "whole module": torch_file(module),
    "legacy PyTorch": torch_file(state, _use_new_zipfile_serialization=False),
    "two state dicts": torch_file({"model": state, "ema": state}),
    "objects in npz": saved_by(np.savez, a=np.array([{}], dtype=object)),
    "expanded tensor": torch_file({"a": torch.zeros(1).expand(2**20)}),
    "sparse tensor": torch_file({"a": torch.eye(3).to_sparse()}),
}
Path(__file__).with_name("files.golden.json").write_text(
    json.dumps({"read": golden, "refused": {name: text(data) for name, data in refused.items()}}, indent=1) + "\n")
