"""Reverse-mode differentiation by hand, of float64 or complex128 arrays: each operation with its own backward pass.

All passes are analytic, so that an imaginary part of 1e-30 in some input comes out as an exact derivative
(complex-step differentiation) of values and of gradients alike; ReLU and maxima decide by real parts.
"""
import numpy as np


class Node:
    """A value, and how a gradient by it becomes gradients by what it was made of."""

    def __init__(self, value, *sources):
        self.value, self.sources = np.asarray(value), sources


def constant(value):
    return Node(np.asarray(value))


def gradients(of, by):
    """d of/d each of `by`: zeros where it does not depend on one."""
    order, seen = [], set()

    def visit(node):
        if id(node) not in seen:
            seen.add(id(node))
            for source, _ in node.sources:
                visit(source)
            order.append(node)

    visit(of)
    found = {id(of): np.ones_like(of.value)}
    for node in reversed(order):
        for source, backward in node.sources if id(node) in found else ():
            found[id(source)] = found.get(id(source), 0) + backward(found[id(node)])
    return [found.get(id(node), np.zeros_like(node.value)) for node in by]


def add(a, b):
    return Node(a.value + b.value, (a, lambda g: reduce_to(g, a.value.shape)), (b, lambda g: reduce_to(g, b.value.shape)))


def scale(a, factor):
    return Node(a.value * factor, (a, lambda g: g * factor))


def reduce_to(gradient, shape):
    """Sums what broadcasting of trailing axes repeated."""
    return gradient.sum(tuple(range(gradient.ndim - len(shape))))


def dense(x, kernel, bias):
    product = Node(x.value @ kernel.value, (x, lambda g: g @ kernel.value.T), (kernel, lambda g: x.value.T @ g))
    return add(product, bias)


def convolution(x, kernel, stride=1, same=False):
    """Over [batch, height, width, channels]; padding `same` as TensorFlow has it: what is odd comes after."""
    height, width = kernel.value.shape[:2]
    size = [-(-n // stride) if same else (n - k) // stride + 1 for n, k in zip(x.value.shape[1:3], (height, width))]
    extra = [max((m - 1) * stride + k - n, 0) if same else 0 for m, k, n in zip(size, (height, width), x.value.shape[1:3])]
    pad = [(0, 0), *((e // 2, e - e // 2) for e in extra), (0, 0)]
    padded = np.pad(x.value, pad)
    rows = lambda first, axis: slice(first, first + (size[axis] - 1) * stride + 1, stride)
    at = lambda i, j: (slice(None), rows(i, 0), rows(j, 1))
    places = [(i, j) for i in range(height) for j in range(width)]
    value = sum(padded[at(i, j)] @ kernel.value[i, j] for i, j in places)

    def to_x(g):
        whole = np.zeros(padded.shape, g.dtype)
        for i, j in places:
            whole[at(i, j)] += g @ kernel.value[i, j].T
        return whole[:, pad[1][0] : pad[1][0] + x.value.shape[1], pad[2][0] : pad[2][0] + x.value.shape[2]]

    def to_kernel(g):
        flat = g.reshape(-1, g.shape[-1])
        parts = [padded[at(i, j)].reshape(-1, padded.shape[-1]).T @ flat for i, j in places]
        return np.stack(parts).reshape(kernel.value.shape)

    return Node(value, (x, to_x), (kernel, to_kernel))


def batch_norm(x, gamma, beta, epsilon):
    """With the mean and the (biased) variance of the batch over all axes but the last."""
    axes = tuple(range(x.value.ndim - 1))
    centred = x.value - x.value.mean(axes)
    root = np.sqrt((centred**2).mean(axes) + epsilon)
    normal = centred / root

    def to_x(g):
        g = g * gamma.value
        return (g - g.mean(axes) - normal * (g * normal).mean(axes)) / root

    return Node(
        normal * gamma.value + beta.value,
        (x, to_x),
        (gamma, lambda g: (g * normal).sum(axes)),
        (beta, lambda g: g.sum(axes)),
    )


def relu(x):
    on = x.value.real > 0
    return Node(np.where(on, x.value, 0), (x, lambda g: np.where(on, g, 0)))


def mean_of_positions(x):
    area = x.value.shape[1] * x.value.shape[2]
    spread = lambda g: np.broadcast_to(g[:, None, None] / area, x.value.shape)
    return Node(x.value.mean((1, 2)), (x, spread))


def enlarge(x, height, width):
    """Each new position i takes position ⌊i·from/to⌋."""
    rows, columns = (np.arange(to) * n // to for to, n in zip((height, width), x.value.shape[1:3]))

    def to_x(g):
        whole = np.zeros(x.value.shape, g.dtype)
        np.add.at(whole, (slice(None), rows[:, None], columns), g)
        return whole

    return Node(x.value[:, rows[:, None], columns], (x, to_x))


def log_softmax(x):
    shifted = x.value - x.value.real.max(-1, keepdims=True)
    value = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return Node(value, (x, lambda g: g - np.exp(value) * g.sum(-1, keepdims=True)))


def mean_dot(weights, x):
    """Mean over rows of Σ weights·x, for constant weights."""
    rows = len(x.value)
    return Node((weights * x.value).sum() / rows, (x, lambda g: g * weights / rows))
