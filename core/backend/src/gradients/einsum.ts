import * as tf from '@tensorflow/tfjs-core';
import { defineGradient } from './define.js';

/**
 * The gradient for one operand is again an einsum: of dy and the other operand, onto the operand's
 * own axes. An axis that nothing else has was summed away, so its gradient is repeated along it.
 */
function operandGradient(
  dy: tf.Tensor,
  operands: readonly tf.Tensor[],
  labels: readonly string[],
  output: string,
  index: number,
): tf.Tensor {
  const own = labels[index]!;
  const shape = operands[index]!.shape;
  const others = operands.filter((_, i) => i !== index);
  const otherLabels = labels.filter((_, i) => i !== index);
  const sources = [output, ...otherLabels];
  const reachable = [...own].filter((label) => sources.some((source) => source.includes(label)));
  const equation = `${sources.join(',')}->${reachable.join('')}`;
  const partial = tf.einsum(equation, dy, ...others);
  const expanded = [...own].map((label, i) => (reachable.includes(label) ? shape[i]! : 1));
  return tf.broadcastTo(tf.reshape(partial, expanded), shape);
}

export const einsum: readonly tf.GradConfig[] = [
  defineGradient<tf.Tensor[], { readonly equation: string }>(
    tf.Einsum,
    { allInputs: true },
    (dy, operands, { equation }) => {
      const [inputs, output] = equation.replaceAll(' ', '').split('->') as [string, string];
      const labels = inputs.split(',');
      return Object.fromEntries(
        operands.map((_, i) => [i, () => operandGradient(dy, operands, labels, output, i)]),
      );
    },
  ),
];
