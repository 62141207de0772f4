import { EspalierError } from '@espalier/base';
import type { HostTensor } from '@espalier/checkpoint';
import { toFloat32 } from '../float32.js';
import { join } from './modules.js';
import type { PyTorchModule, StateDict } from './modules.js';

/** A layer's weights by the names of tfjs-layers, in the order of `setWeights`, all F32. */
export type LayerWeights = Readonly<Record<string, HostTensor>>;

type Get = (parameter: string) => Values;

interface Values {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/**
 * The weights of the layers that compute what a module computes, one entry for each of its layers.
 * With `u` units: an embedding has `embeddings` `[rows, columns]`; a linear module `kernel`
 * `[inputs, outputs]` and `bias`; an LSTM `kernel` `[inputs, 4u]`, `recurrent_kernel` `[u, 4u]` and
 * `bias` `[4u]`, the sum of PyTorch's two; a GRU the same with `3u`, and PyTorch's two biases as `bias`
 * `[2, 3u]`, as {@link ResetAfterGRU} has them. `bias` is left out where the module has none. What needs
 * no rearranging is a view of the state dict.
 *
 * @throws EspalierError `pytorch/tensor` where the state dict lacks a tensor of the module.
 * @example
 * const [{ kernel, recurrent_kernel, bias }] = pytorchWeights(state, modules[0]);
 */
export function pytorchWeights(state: StateDict, module: PyTorchModule): readonly LayerWeights[] {
  const get = (parameter: string) => readValues(state, join(module.name, parameter));
  if (module.kind === 'embedding') return [toF32({ embeddings: get('weight') })];
  if (module.kind === 'linear') {
    return [toF32({ kernel: transpose(get('weight')), ...(module.bias && { bias: get('bias') }) })];
  }
  if (module.kind === 'conv1d') return [toF32({ kernel: get('weight'), bias: get('bias') })];
  const convert = module.kind === 'lstm' ? lstmWeights : gruWeights;
  return Array.from({ length: module.layers }, (_, k) =>
    toF32(convert((parameter) => get(`${parameter}_l${k}`), module.bias)),
  );
}

/** PyTorch's gates i, f, g, o are tfjs's i, f, c, o. */
function lstmWeights(get: Get, hasBias: boolean): Readonly<Record<string, Values>> {
  const weights = {
    kernel: transpose(get('weight_ih')),
    recurrent_kernel: transpose(get('weight_hh')),
  };
  if (!hasBias) return weights;
  const [input, recurrent] = [get('bias_ih'), get('bias_hh')];
  const data = input.data.map((value, i) => value + recurrent.data[i]!);
  return { ...weights, bias: { shape: input.shape, data } };
}

/** PyTorch's gates r, z, n are Keras's z, r, h. */
function gruWeights(get: Get, hasBias: boolean): Readonly<Record<string, Values>> {
  const weights = {
    kernel: transpose(updateFirst(get('weight_ih'))),
    recurrent_kernel: transpose(updateFirst(get('weight_hh'))),
  };
  if (!hasBias) return weights;
  const rows = [get('bias_ih'), get('bias_hh')].map((bias) => updateFirst(bias).data);
  const data = Float32Array.from(rows.flatMap((row) => [...row]));
  return { ...weights, bias: { shape: [2, rows[0]!.length], data } };
}

/** Exchanges the first two thirds of a tensor's rows. */
function updateFirst({ shape, data }: Values): Values {
  const gate = data.length / 3;
  const moved = data.slice();
  moved.set(data.subarray(gate, 2 * gate));
  moved.set(data.subarray(0, gate), gate);
  return { shape, data: moved };
}

function transpose({ shape, data }: Values): Values {
  const [rows, columns] = shape as [number, number];
  const turned = new Float32Array(data.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      turned[column * rows + row] = data[row * columns + column]!;
    }
  }
  return { shape: [columns, rows], data: turned };
}

function readValues(state: StateDict, name: string): Values {
  const tensor = state.get(name);
  if (tensor) return { shape: tensor.shape, data: toFloat32(tensor) };
  throw new EspalierError('pytorch/tensor', {
    problem: `the state dict has no tensor '${name}'`,
    fix: 'Pass the state dict in which pytorchModules found the module.',
  });
}

function toF32(weights: Readonly<Record<string, Values>>): LayerWeights {
  const entries = Object.entries(weights).map(([name, values]) => [
    name,
    { dtype: 'F32' as const, ...values },
  ]);
  return Object.fromEntries(entries) as LayerWeights;
}
