import * as tf from '@tensorflow/tfjs-core';

type Values = ArrayLike<number>;

interface Statistics {
  readonly mean: Float64Array;
  /** Of the batch: the sum of squares over the number of rows. */
  readonly variance: Float64Array;
}

function sumRows(channels: number, rows: number, value: (at: number, channel: number) => number) {
  const sums = new Float64Array(channels);
  for (let at = 0; at < rows * channels; at++) sums[at % channels]! += value(at, at % channels);
  return sums;
}

/** Per channel, the last axis, in float64. */
export function statisticsOf(x: Values, channels: number): Statistics {
  const rows = x.length / channels;
  const mean = sumRows(channels, rows, (at) => x[at]! / rows);
  const variance = sumRows(channels, rows, (at, c) => (x[at]! - mean[c]!) ** 2 / rows);
  return { mean, variance };
}

/** `(x - mean) / sqrt(variance + ε)`. */
function normalized(x: Values, channels: number, epsilon: number): Float64Array {
  const { mean, variance } = statisticsOf(x, channels);
  return Float64Array.from(x, (value, at) => {
    const c = at % channels;
    return (value - mean[c]!) / Math.sqrt(variance[c]! + epsilon);
  });
}

export function normalize(x: Values, scale: Values, offset: Values, epsilon: number): Float64Array {
  const n = normalized(x, scale.length, epsilon);
  return n.map((value, at) => value * scale[at % scale.length]! + offset[at % scale.length]!);
}

/** The chain rule, path by path: through `x` itself, its mean and its variance. */
export function normalizeGradient(dy: Values, x: Values, scale: Values, epsilon: number) {
  const channels = scale.length;
  const rows = x.length / channels;
  const { mean, variance } = statisticsOf(x, channels);
  const n = normalized(x, channels, epsilon);
  const inverse = variance.map((value) => 1 / Math.sqrt(value + epsilon));
  const dOffset = sumRows(channels, rows, (at) => dy[at]!);
  const dScale = sumRows(channels, rows, (at) => dy[at]! * n[at]!);
  const dVariance = dScale.map((sum, c) => -0.5 * sum * scale[c]! * inverse[c]! ** 2);
  const dMean = dOffset.map((sum, c) => -sum * scale[c]! * inverse[c]!);
  const dx = Float64Array.from(x, (value, at) => {
    const c = at % channels;
    const own = dy[at]! * scale[c]! * inverse[c]!;
    return own + (dMean[c]! + 2 * dVariance[c]! * (value - mean[c]!)) / rows;
  });
  return { dx, dScale, dOffset };
}

const tensorOf = (values: ArrayLike<number>, shape: number[]) =>
  tf.tensor(Float32Array.from(values), shape);

type Inputs = Readonly<Record<string, tf.Tensor>>;

const forward: tf.KernelFunc = ({ inputs, attrs }) => {
  const { x, scale, offset } = inputs as unknown as Inputs;
  const { epsilon } = attrs as unknown as { readonly epsilon: number };
  const [values, gain, shift] = [x!, scale!, offset!].map((each) => each.dataSync());
  const { mean, variance } = statisticsOf(values!, scale!.size);
  const none = () => tf.tensor1d([]);
  return [
    tensorOf(normalize(values!, gain!, shift!, epsilon), x!.shape),
    tensorOf(mean, scale!.shape),
    tensorOf(variance, scale!.shape),
    ...[none(), none(), none()],
  ];
};

const backward: tf.KernelFunc = ({ inputs, attrs }) => {
  const { dy, x, scale } = inputs as unknown as Inputs;
  const { epsilon } = attrs as unknown as { readonly epsilon: number };
  const [dys, values, gain] = [dy!, x!, scale!].map((each) => each.dataSync());
  const { dx, dScale, dOffset } = normalizeGradient(dys!, values!, gain!, epsilon);
  return [tensorOf(dx, x!.shape), tensorOf(dScale, scale!.shape), tensorOf(dOffset, scale!.shape)];
};

const kernels = { BatchNormTraining: forward, BatchNormTrainingGrad: backward };

/** Gives a backend that lacks them slow kernels; takes them back with the function that it returns. */
export function registerReference(backendName: string): () => void {
  const missing = Object.entries(kernels).filter(([name]) => !tf.getKernel(name, backendName));
  missing.forEach(([kernelName, kernelFunc]) =>
    tf.registerKernel({ kernelName, backendName, kernelFunc }),
  );
  return () => missing.forEach(([name]) => tf.unregisterKernel(name, backendName));
}
