import { readFileSync } from 'node:fs';
import { decodeSafetensors, toTensor } from '@espalier/checkpoint';
import { toFloat32 } from '@espalier/formats';
import type { StateDict } from '@espalier/formats';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';

/** A state dict of the folder `golden`. */
export function goldenState(name: string): StateDict {
  const path = new URL(`./golden/${name}.safetensors`, import.meta.url);
  return decodeSafetensors(readFileSync(path)).tensors;
}

/** What PyTorch was given, and what it computed. */
export function goldenRun(name: string): { readonly input: Tensor; readonly output: Float32Array } {
  const run = goldenState(`${name}.io`);
  const [input, output] = [run.get('input')!, run.get('output')!];
  const made =
    input.dtype === 'I64' ? tf.tensor(toFloat32(input), [...input.shape]) : toTensor(input);
  return { input: made, output: toFloat32(output) };
}

/** The largest absolute difference. */
export function largestGap(a: Tensor, b: Float32Array): number {
  const values = a.dataSync();
  if (values.length !== b.length) return Infinity;
  return b.reduce((gap, value, i) => Math.max(gap, Math.abs(value - values[i]!)), 0);
}
