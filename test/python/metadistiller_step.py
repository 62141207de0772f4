"""One step of MetaDistiller in float64, from the method's description: python metadistiller_step.py STEP.json

Prints the losses, the hypergradient and all trained parameters after the step. The gradients are backward
passes by hand (reverse_mode.py); the hypergradient is the complex-step derivative of the outer loss after the
virtual step, one outer variable at a time, which goes through the gradient of the virtual step exactly.
"""
import json, sys
import numpy as np
from reverse_mode import (Node, add, batch_norm, constant, convolution, dense, enlarge, gradients, log_softmax,
                          mean_dot, mean_of_positions, relu, scale)

GENERATOR = "label-generator:"


class Network:
    """The backbone, its exits and the label generator, as functions of their weights by path."""

    def __init__(self, weights, epsilon):
        self.of = {path: Node(value) for path, value in weights.items()}
        self.epsilon = epsilon

    def unit(self, x, name, norm, stride=1, same=True):
        x = convolution(x, self.of[f"{name}/kernel"], stride, same)
        gamma, beta = (self.of[f"{norm}/{part}"] for part in ("gamma", "beta"))
        return relu(batch_norm(x, gamma, beta, self.epsilon_of(norm)))

    def epsilon_of(self, norm):
        part = "backbone" if norm.startswith("bn") else "generator" if norm.startswith(GENERATOR) else "exits"
        return self.epsilon[part]

    def logits(self, x, name):
        return dense(x, self.of[f"{name}/kernel"], self.of[f"{name}/bias"])

    def run(self, images):
        """Features of the stages, shallowest first, and logits by exit, the deepest last."""
        features, x = [], constant(images)
        for stage, stride in (1, 1), (2, 2), (3, 2):
            x = self.unit(x, f"conv{stage}", f"bn{stage}", stride)
            features.append(x)
        exits = {f"exit_{i + 1}": self.branch(f"exit_{i + 1}", map) for i, map in enumerate(features[:-1])}
        return features, {**exits, "logits": self.logits(mean_of_positions(x), "logits")}

    def branch(self, name, x):
        shrink = x.value.shape[1] // 2
        for part, stride in ("reduce", 1), ("stride", shrink), ("expand", 1):
            x = self.unit(x, f"{name}_{part}", f"{name}_{part}_norm", stride, same=False)
        return self.logits(mean_of_positions(x), name)

    def generate(self, features):
        """Logits of the soft targets by exit, from the top down."""
        above, made = None, {}
        for level in reversed(range(len(features))):
            name = f"{GENERATOR}lateral_{level + 1}"
            lateral = add(convolution(features[level], self.of[f"{name}/kernel"], same=True), self.of[f"{name}/bias"])
            if above is None:
                above = lateral
                continue
            merged = add(enlarge(above, *lateral.value.shape[1:3]), lateral)
            above = self.unit(merged, f"{GENERATOR}block_{level + 1}", f"{GENERATOR}block_{level + 1}_norm")
            made[f"exit_{level + 1}"] = self.logits(mean_of_positions(above), f"{GENERATOR}head_{level + 1}")
        return made


def cross_entropy(logits, labels):
    return scale(mean_dot(np.eye(logits.value.shape[-1])[labels], log_softmax(logits)), -1)


def divergence(teacher, student, temperature):
    """τ²·KL of the student from a given teacher."""
    log_q = log_softmax(constant(teacher / temperature)).value
    q, rows = np.exp(log_q), len(teacher)
    crossed = mean_dot(q, log_softmax(scale(student, 1 / temperature)))
    return scale(add(constant((q * log_q).sum() / rows), scale(crossed, -1)), temperature**2)


def sum_of(terms):
    total = constant(0.0)
    for term, weight in terms:
        total = add(total, scale(term, weight))
    return total


class Step:
    def __init__(self, given):
        self.given, self.settings = given, given["settings"]
        arrays = {path: np.array(each["values"]).reshape(each["shape"]) for path, each in given["before"].items()}
        self.theta = {path: value for path, value in arrays.items() if not path.startswith(GENERATOR)}
        self.phi = {path: value for path, value in arrays.items() if path.startswith(GENERATOR)}
        shape = given["shape"]
        self.batch = np.array(given["images"]).reshape(shape), np.array(given["labels"])
        self.next = np.array(given["nextImages"]).reshape(shape), np.array(given["nextLabels"])

    def network(self, theta, phi):
        return Network({**theta, **phi}, self.settings["epsilon"])

    def inner(self, theta, phi):
        """The loss of the run on the batch of the step, and its gradients by θ and φ."""
        s, (images, labels) = self.settings, self.batch
        network = self.network(theta, phi)
        features, exits = network.run(images)
        # Detached: the generator gets the features as they are, the exits get its targets as they are.
        targets = network.generate([constant(map.value) for map in features])
        terms = [(cross_entropy(exits["logits"], labels), 1)]
        for name, target in targets.items():
            terms.append((cross_entropy(exits[name], labels), s["exitWeight"] * (1 - s["alpha"])))
            terms.append((divergence(target.value, exits[name], s["temperature"]), s["alpha"]))
            terms.append((cross_entropy(target, labels), s["labelWeight"]))
        total = sum_of(terms)
        paths = [*theta, *phi]
        found = dict(zip(paths, gradients(total, [network.of[path] for path in paths])))
        return total.value, {p: found[p] for p in theta}, {p: found[p] for p in phi}

    def outer(self, phi):
        """The outer loss after the virtual step."""
        _, by_theta, _ = self.inner(self.theta, phi)
        rate = self.settings["innerRate"]
        after = {path: value - rate * by_theta[path] for path, value in self.theta.items()}
        images, labels = self.next
        _, exits = self.network(after, phi).run(images)
        return sum_of((cross_entropy(exits[e], labels), w) for e, w in self.settings["outerWeights"].items()).value

    def hypergradient(self):
        found = {path: np.empty(value.shape) for path, value in self.phi.items()}
        for path, value in self.phi.items():
            for place in np.ndindex(value.shape):
                moved = value.astype(complex)
                moved[place] += 1e-30j
                found[path][place] = self.outer({**self.phi, path: moved}).imag / 1e-30
        return found


def adam(values, by, state, settings, step):
    """Kingma & Ba 2015, algorithm 1; `state` holds the sums m/(1 − β1), v/(1 − β2)."""
    b1, b2, epsilon = 0.9, 0.999, 1e-8
    after, moments = {}, {}
    for path, value in values.items():
        m, v = (b * state[path][i] + g for i, (b, g) in enumerate(((b1, by[path]), (b2, by[path] ** 2))))
        m_hat, v_hat = (1 - b1) * m / (1 - b1 ** (step + 1)), (1 - b2) * v / (1 - b2 ** (step + 1))
        after[path] = value - settings["generatorRate"] * m_hat / (np.sqrt(v_hat) + epsilon)
        moments[path] = (m, v)
    return after, moments


def descend(values, by, velocity, settings):
    """SGD with momentum and L2 weight decay."""
    moved = lambda path, value: settings["momentum"] * velocity[path] + by[path] + settings["weightDecay"] * value
    return {path: value - settings["rate"] * moved(path, value) for path, value in values.items()}


def take_step(given):
    step, settings = Step(given), given["settings"]
    of = lambda slot, values: {p: np.array(given["slots"][slot][p]).reshape(v.shape) for p, v in values.items()}
    first, second = of("m", step.phi), of("v", step.phi)
    hypergradient, count = step.hypergradient(), settings["generatorSteps"]
    norm = np.sqrt(sum((each ** 2).sum() for each in hypergradient.values()))
    scaled = {p: each * settings["hypergradientNorm"] / norm for p, each in hypergradient.items()}
    phi, moments = adam(step.phi, scaled, {p: (first[p], second[p]) for p in first}, settings, count)
    loss, by_theta, by_phi = step.inner(step.theta, phi)
    theta = descend(step.theta, by_theta, of("b", step.theta), settings)
    final = adam(phi, by_phi, moments, settings, count + 1)[0] if settings["labelWeight"] > 0 else phi
    return {
        "loss": float(loss),
        "outer": [float(step.outer(step.phi)), float(step.outer(phi))],
        "hypergradient": {path: value.ravel().tolist() for path, value in hypergradient.items()},
        "after": {path: value.ravel().tolist() for path, value in {**theta, **final}.items()},
    }


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        print(json.dumps(take_step(json.load(file))))
