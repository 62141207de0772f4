import type { Matrix } from '@espalier/compression';
import { computeCodeLayout } from '../storage/storage-config.js';
import type { CodeConfig } from '../storage/storage-config.js';
import {
  automaticGranularity,
  forEachGroupRun,
  computeGrouping,
  groupValues,
  getShape,
} from './granularity.js';
import type { Granularity, Grouping } from './granularity.js';
import { kMeans } from './k-means.js';
import { levelRange, NF4_LEVELS, nearestLevel, roundHalfEven } from './levels.js';
import type { Scheme } from './levels.js';
import type { Bits } from './packing.js';
import type { QuantizeOptions } from './quantize.js';
import { chooseAffine } from './ranges.js';

/** A code for every number, row by row, and what the codes stand for. */
export interface EncodedMatrix {
  readonly config: CodeConfig;
  readonly codes: Uint8Array;
  readonly scale?: Float32Array;
  readonly offset?: Float32Array;
  readonly codebook?: Float32Array;
}

export function encodeUniform(matrix: Matrix, options: QuantizeOptions): EncodedMatrix {
  const { bits = 8, scheme = 'symmetric', range = 'mse' } = options;
  const granularity = chooseGranularity(matrix, bits, options);
  const grouping = computeGrouping(granularity, getShape(matrix));
  const scale = new Float32Array(grouping.count);
  const offset = new Float32Array(grouping.count);
  const weights = expandRowWeights(matrix, options);
  for (let group = 0; group < grouping.count; group++) {
    const members = {
      values: groupValues(matrix.data, getShape(matrix), grouping, group),
      ...(weights && { weights: groupValues(weights, getShape(matrix), grouping, group) }),
    };
    ({ scale: scale[group], offset: offset[group] } = chooseAffine(members, bits, scheme, range));
  }
  const codes = uniformCodes(matrix, { scale, offset, grouping, bits, scheme });
  const config: CodeConfig = { kind: 'uniform', bits, scheme, granularity };
  return { config, codes, scale, ...(scheme === 'asymmetric' && { offset }) };
}

/** How numbers become codes: `round((x − offset) / scale)` within the levels. */
export interface UniformRule {
  readonly scale: Float32Array;
  readonly offset?: Float32Array;
  readonly grouping: Grouping;
  readonly bits: Bits;
  readonly scheme: Scheme;
}

/** The code of every number, row by row. Numbers of a group with scale 0 get the level 0. */
export function uniformCodes(matrix: Matrix, rule: UniformRule): Uint8Array {
  const { scale, offset, grouping, bits, scheme } = rule;
  const [lowest, highest] = levelRange(bits, scheme);
  const { data } = matrix;
  const codes = new Uint8Array(data.length);
  forEachGroupRun(grouping, getShape(matrix), (group, begin, end) => {
    const [step, shift] = [scale[group]!, offset?.[group] ?? 0];
    if (step === 0) return void codes.fill(-lowest, begin, end);
    for (let i = begin; i < end; i++) {
      const level = roundHalfEven(Math.fround(Math.fround(data[i]! - shift) / step));
      codes[i] = Math.min(Math.max(level, lowest), highest) - lowest;
    }
  });
  return codes;
}

export function encodeNormalFloat(matrix: Matrix, options: QuantizeOptions): EncodedMatrix {
  const granularity = chooseGranularity(matrix, 4, options);
  const shape = getShape(matrix);
  const grouping = computeGrouping(granularity, shape);
  const scale = Float32Array.from({ length: grouping.count }, (_, group) =>
    groupValues(matrix.data, shape, grouping, group).reduce((a, x) => Math.max(a, Math.abs(x)), 0),
  );
  const codes = new Uint8Array(matrix.data.length);
  forEachGroupRun(grouping, shape, (group, begin, end) => {
    const inverse = scale[group]! > 0 ? 1 / scale[group]! : 0;
    for (let i = begin; i < end; i++) {
      codes[i] = nearestLevel(NF4_LEVELS, 0, NF4_LEVELS.length, matrix.data[i]! * inverse);
    }
  });
  return { config: { kind: 'nf4', granularity }, codes, scale };
}

export function encodeCodebook(
  matrix: Matrix,
  { bits = 8, codebook }: QuantizeOptions,
): EncodedMatrix {
  const columns = typeof codebook === 'object' ? { columns: codebook.columns } : {};
  const config: CodeConfig = { kind: 'codebook', bits, ...columns };
  const shape = getShape(matrix);
  const { grouping } = computeCodeLayout(config, shape).format;
  const entries = 2 ** bits;
  const tables = new Float32Array(grouping.count * entries);
  for (let group = 0; group < grouping.count; group++) {
    tables.set(kMeans(groupValues(matrix.data, shape, grouping, group), bits), group * entries);
  }
  const codes = new Uint8Array(matrix.data.length);
  forEachGroupRun(grouping, shape, (group, begin, end) => {
    for (let i = begin; i < end; i++) {
      codes[i] = nearestLevel(tables, group * entries, entries, matrix.data[i]!);
    }
  });
  return { config, codes, codebook: tables };
}

function chooseGranularity(
  matrix: Matrix,
  bits: Bits,
  { granularity = 'auto', prefer }: QuantizeOptions,
): Granularity {
  return granularity === 'auto'
    ? automaticGranularity(getShape(matrix), bits, prefer)
    : granularity;
}

/** A row's weight for each of its numbers. */
function expandRowWeights(
  { rows, columns }: Matrix,
  { rowWeights }: QuantizeOptions,
): Float32Array | undefined {
  if (!rowWeights) return undefined;
  const weights = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    weights.fill(rowWeights[row]!, row * columns, (row + 1) * columns);
  }
  return weights;
}
