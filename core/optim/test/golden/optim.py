"""Golden values for core/trainer/src/optim, from PyTorch.

Tests read optim.golden.json and need no Python. To make it again, from the repository root:

    python3 -m venv .venv && .venv/bin/pip install torch numpy
    .venv/bin/python core/optim/test/golden/optim.py

Every optimizer starts at the same parameters and gets the same gradients; the parameters are
recorded after some of the steps. In a case with `gaps`, the gradient of dense/bias is absent for
some steps (PyTorch: None), which must leave its momentum alone.
"""

import json
import pathlib

import numpy as np
import torch
from torch.optim import lr_scheduler as lrs

STEPS = 25
RECORDED = [1, 2, 3, 8, 16, 25]
GAPS = range(4, 9)
SHAPES = {"dense/kernel": [3, 2], "dense/bias": [2], "norm/gamma": [1], "temperature": []}

rng = np.random.default_rng(7)
PARAMS = {path: rng.normal(size=shape).astype(np.float32) for path, shape in SHAPES.items()}
GRADS = [
    {path: (rng.normal(size=shape) * 3 ** rng.normal()).astype(np.float32) for path, shape in SHAPES.items()}
    for _ in range(STEPS)
]


def flat(array):
    return [float(f"{value:.9g}") for value in np.asarray(array, np.float64).ravel()]


def run(make, clip=lambda params: None, schedule=None, gaps=False):
    params = {path: torch.tensor(value, requires_grad=True) for path, value in PARAMS.items()}
    optimizer = make(params)
    scheduler = schedule(optimizer) if schedule else None
    after = {}
    for step in range(STEPS):
        for path, param in params.items():
            missing = gaps and path == "dense/bias" and step in GAPS
            param.grad = None if missing else torch.tensor(GRADS[step][path])
        clip(list(params.values()))
        optimizer.step()
        if scheduler:
            scheduler.step()
        if step + 1 in RECORDED:
            after[step + 1] = {path: flat(param.detach().numpy()) for path, param in params.items()}
    return after


def of(kind, **options):
    return lambda params: kind(list(params.values()), **options)


def adamw_kernels(params):
    """Decay on kernels only."""
    kernels = [p for path, p in params.items() if path.endswith("/kernel")]
    others = [p for path, p in params.items() if not path.endswith("/kernel")]
    groups = [{"params": kernels, "weight_decay": 0.5}, {"params": others, "weight_decay": 0}]
    return torch.optim.AdamW(groups, lr=0.01)


def two_groups(params):
    """The kernel by SGD with momentum at one rate, the rest without momentum at another."""
    kernel = params["dense/kernel"]
    others = [p for p in params.values() if p is not kernel]
    return torch.optim.SGD([{"params": [kernel], "lr": 0.01, "momentum": 0.9}, {"params": others, "lr": 0.1}])


def each_norm(params):
    for param in params:
        torch.nn.utils.clip_grad_norm_([param], 0.7)


SGD, ADAM, ADAMW, RMS = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop
OPTIMIZERS = {
    "sgd": run(of(SGD, lr=0.1)),
    "sgd, weight decay": run(of(SGD, lr=0.1, weight_decay=0.2)),
    "sgd, momentum": run(of(SGD, lr=0.1, momentum=0.9)),
    "sgd, nesterov, weight decay": run(of(SGD, lr=0.1, momentum=0.8, nesterov=True, weight_decay=0.2)),
    "sgd, momentum, gaps": run(of(SGD, lr=0.1, momentum=0.9), gaps=True),
    "sgd, nesterov, one cycle": run(
        of(SGD, lr=0.1, momentum=0.9, nesterov=True),
        schedule=lambda o: lrs.OneCycleLR(o, 0.4, STEPS, cycle_momentum=False),
    ),
    "sgd, two groups": run(two_groups),
    "sgd, clipped by value": run(of(SGD, lr=0.1), lambda p: torch.nn.utils.clip_grad_value_(p, 0.5)),
    "sgd, clipped by norm": run(of(SGD, lr=0.1), each_norm),
    "sgd, clipped by global norm": run(
        of(SGD, lr=0.1, momentum=0.9), lambda p: torch.nn.utils.clip_grad_norm_(p, 1.5)
    ),
    "adam": run(of(ADAM, lr=0.01)),
    "adam, other moments": run(of(ADAM, lr=0.02, betas=(0.7, 0.95), eps=1e-3)),
    "adam, weight decay, cosine": run(
        of(ADAM, lr=0.05, weight_decay=0.3), schedule=lambda o: lrs.CosineAnnealingLR(o, STEPS, 0.001)
    ),
    "adamw": run(of(ADAMW, lr=0.01)),
    "adamw, steps": run(of(ADAMW, lr=0.05, weight_decay=0.5), schedule=lambda o: lrs.StepLR(o, 7, 0.3)),
    "adamw, kernels": run(adamw_kernels),
    "rmsprop": run(of(RMS, lr=0.01)),
    "rmsprop, momentum, weight decay": run(
        of(RMS, lr=0.01, alpha=0.9, eps=1e-3, momentum=0.8, weight_decay=0.1)
    ),
    "rmsprop, centered": run(of(RMS, lr=0.01, alpha=0.9, eps=1e-2, centered=True)),
    "rmsprop, centered, momentum": run(of(RMS, lr=0.01, alpha=0.8, eps=0.1, centered=True, momentum=0.9)),
}


def rates(schedule, lr=0.1):
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = schedule(optimizer)
    values = []
    for _ in range(STEPS):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return flat(values)


def warm_cosine(optimizer):
    parts = [lrs.LinearLR(optimizer, 0.25, total_iters=6), lrs.CosineAnnealingLR(optimizer, 19, 0.01)]
    return lrs.SequentialLR(optimizer, parts, [6])


SCHEDULES = {
    "step": rates(lambda o: lrs.StepLR(o, 7, 0.3)),
    "multi-step": rates(lambda o: lrs.MultiStepLR(o, [3, 4, 18], 0.5)),
    "cosine": rates(lambda o: lrs.CosineAnnealingLR(o, 24, 0.002)),
    "one cycle": rates(lambda o: lrs.OneCycleLR(o, 0.4, STEPS)),
    "one cycle, other shape": rates(
        lambda o: lrs.OneCycleLR(o, 0.4, STEPS, pct_start=0.45, div_factor=8, final_div_factor=50)
    ),
    "polynomial": rates(lambda o: lrs.PolynomialLR(o, 20, 2.5)),
    "linear decay": rates(lambda o: lrs.PolynomialLR(o, 20, 1)),
    "linear warm-up": rates(lambda o: lrs.LinearLR(o, 0.2, total_iters=9)),
    "warm-up, cosine": rates(warm_cosine),
}

GOLDEN = {
    "source": f"PyTorch {torch.__version__}, written by optim.py",
    "steps": STEPS,
    "shapes": SHAPES,
    "params": {path: flat(value) for path, value in PARAMS.items()},
    "gradients": [{path: flat(value) for path, value in grads.items()} for grads in GRADS],
    "gaps": {"path": "dense/bias", "steps": list(GAPS)},
    "optimizers": OPTIMIZERS,
    "schedules": SCHEDULES,
}
target = pathlib.Path(__file__).with_name("optim.golden.json")
target.write_text(json.dumps(GOLDEN) + "\n")
