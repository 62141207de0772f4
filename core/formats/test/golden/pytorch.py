"""Makes the *.safetensors files beside it with PyTorch: state dicts, and what the modules compute.

python3 -m venv venv && venv/bin/pip install torch==2.13.0 safetensors==0.8.0 numpy==2.4.6
venv/bin/python pytorch.py
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

FOLDER = Path(__file__).parent


class LanguageModel(nn.Module):
    """Ids [batch, time] -> logits [batch, time, words]."""

    def __init__(self, recurrent, bias=True):
        super().__init__()
        self.embedding = nn.Embedding(11, 3)
        self.rnn = recurrent(3, 4, num_layers=2, batch_first=True, bias=bias)
        self.decoder = nn.Linear(4, 11, bias=bias)

    def forward(self, ids):
        return self.decoder(self.rnn(self.embedding(ids))[0])


def save(name, tensors):
    save_file({k: t.contiguous() for k, t in tensors.items()}, FOLDER / f"{name}.safetensors")


def make(name, module, inputs, dtype=torch.float32):
    """The module computes in float32 with weights as precise as `dtype`."""
    module.to(dtype)
    save(name, module.state_dict())
    module.to(torch.float32)
    with torch.no_grad():
        outputs = module(inputs)
    if isinstance(outputs, tuple):
        outputs = outputs[0]
    save(f"{name}.io", {"input": inputs, "output": outputs})


torch.manual_seed(0)
ids = torch.randint(0, 11, (2, 5))
sequences = torch.randn(2, 6, 3)
make("lstm", nn.LSTM(3, 4, num_layers=2, batch_first=True), sequences)
make("gru", nn.GRU(3, 4, num_layers=2, batch_first=True), sequences)
make("gru-without-bias", nn.GRU(3, 4, batch_first=True, bias=False), sequences)
make("linear", nn.Linear(3, 5), sequences[0])
make("linear-without-bias", nn.Linear(3, 5, bias=False), sequences[0])
make("embedding", nn.Embedding(11, 3), ids)
make("lstm-model", LanguageModel(nn.LSTM), ids)
make("lstm-model-without-bias", LanguageModel(nn.LSTM, bias=False), ids)
make("gru-model", LanguageModel(nn.GRU), ids)
make("lstm-model-f16", LanguageModel(nn.LSTM), ids, torch.float16)
make("gru-model-bf16", LanguageModel(nn.GRU), ids, torch.bfloat16)
save("lstm-bidirectional", nn.LSTM(3, 4, bidirectional=True).state_dict())
save("lstm-projected", nn.LSTM(3, 4, proj_size=2).state_dict())
save("elman", nn.RNN(3, 4).state_dict())
bits = torch.arange(-32768, 32768, 61).to(torch.int16)
for name, dtype in (("f16", torch.float16), ("bf16", torch.bfloat16)):
    values = bits.view(dtype)
    save(f"values-{name}", {"narrow": values, "wide": values.to(torch.float32)})
