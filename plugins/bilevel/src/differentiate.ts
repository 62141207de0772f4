import { valueAndGradients } from '@espalier/core';
import type { NamedTensors } from '@espalier/core';
import type { Scalar } from '@tensorflow/tfjs-core';

/** A function's value and its gradients by name, those that it does not depend on left out. */
export function differentiate(f: () => Scalar, by: NamedTensors) {
  const { value, gradients } = differentiateAll(f, [by]);
  return { value, gradients: gradients[0]! };
}

/** The same by several sets of tensors at once: one backward pass. */
export function differentiateAll(f: () => Scalar, sets: readonly NamedTensors[]) {
  const xs = sets.flatMap((set) => Object.values(set));
  const { value, gradients } = valueAndGradients(() => ({ value: f(), aux: [] }), xs);
  const all = gradients[Symbol.iterator]();
  return {
    value,
    gradients: sets.map((set): NamedTensors => {
      const found = Object.keys(set).map((name) => [name, all.next().value] as const);
      return Object.fromEntries(found.filter(([, gradient]) => gradient)) as NamedTensors;
    }),
  };
}
