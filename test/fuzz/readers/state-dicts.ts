import { join } from 'node:path';
import { encodeSafetensors } from '@espalier/checkpoint';
import { readInput } from '@espalier/compress/node';
import type { KeyedRng } from '@espalier/core';
import { disposeModel } from '@espalier/model';
import type { Reader, Sample } from '../reader.js';

const FILE = 'model.safetensors';
const SHAPES: Readonly<Record<string, readonly number[]>> = {
  'words.weight': [7, 3],
  'block.0.proj.weight': [4, 3],
  'block.0.proj.bias': [4],
  'rnn.weight_ih_l0': [8, 3],
  'rnn.weight_hh_l0': [8, 2],
  'rnn.bias_ih_l0': [8],
  'rnn.bias_hh_l0': [8],
  'norm.weight': [3],
  'a b.weight': [4, 3],
  'a_c.weight': [4, 3],
};

function makeSample(name: string, shapes: Readonly<Record<string, readonly number[]>>): Sample {
  const entries = Object.entries(shapes).map(([tensor, shape]) => {
    const data = new Float32Array(shape.reduce((size, n) => size * n, 1)).fill(0.5);
    return { name: tensor, dtype: 'F32' as const, shape, data };
  });
  return { name, files: { [FILE]: encodeSafetensors(entries) }, open: FILE };
}

const PIECES = [
  'weight',
  'bias',
  '.',
  '_',
  '/',
  ' ',
  '-',
  '0',
  'a',
  'A',
  'é',
  '_l1',
  '_reverse',
  '',
];

/** Names with a piece put in or cut out, and other shapes. */
async function damage(sample: Sample, draw: KeyedRng): Promise<Sample> {
  const below = (n: number) => Math.floor(draw() * n);
  const changed = Object.entries(SHAPES).flatMap(([name, shape]) => {
    const way = below(12);
    if (way === 0) return [];
    if (way === 1) return [[name, shape.map((n) => n + below(2))] as const];
    if (way === 2) return [[name, [...shape, 1]] as const];
    if (way > 5) return [[name, shape] as const];
    const at = below(name.length);
    const piece = PIECES[below(PIECES.length)]!;
    return [[name.slice(0, at) + piece + name.slice(at + below(4)), shape] as const];
  });
  return makeSample(sample.name, Object.fromEntries(changed));
}

export const stateDicts: Reader = {
  name: 'state-dicts',
  samples: [makeSample('modules', SHAPES)],
  found: [
    makeSample('names that become one', { 'a b.weight': [4, 3], 'a_b.weight': [4, 3] }),
    makeSample('the name of an input', { 'a.weight': [4, 3], 'a_inputs.weight': [4, 3] }),
    makeSample('a dot in front', { 'a.weight': [4, 3], '.weight': [4, 3] }),
    makeSample('a name of nothing else', { '.weight': [4, 3], weight: [4, 3] }),
  ],
  damage,
  read: async (folder) => disposeModel((await readInput(join(folder, FILE))).model),
};
