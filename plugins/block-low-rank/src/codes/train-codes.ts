import { EspalierError } from '@espalier/core';
import { findLevel } from './codebooks.js';
import { readCoefficients, readLength } from './coefficients.js';
import { findBlock, lengthTable, prepareTables } from './decode.js';
import { writeRow } from './encode.js';
import type { CodedMatrix } from './expand-codes.js';
import { computeLayout, RANGES } from './layout.js';
import type { BlockCodesLayout, BlockCodesPart, CodedBlock } from './layout.js';
import { codeRows } from './piece-coders.js';
import { packBytes, writeCode } from './row-bits.js';
import { placeScales } from './scales.js';
import { BLOCK_CODES_TRAINING, computeTrainingLayout } from './training-layout.js';
import type { BlockCodesTrainingConfig, TrainingLayout, TrainingPart } from './training-layout.js';

/** A matrix that trains for codes, on the host. */
export interface TrainingMatrix {
  /** Rows and columns of the matrix itself, whether its rows or its columns are coded. */
  readonly rows: number;
  readonly columns: number;
  readonly config: BlockCodesTrainingConfig;
  readonly weights: Readonly<Partial<Record<TrainingPart, Float32Array | Int32Array>>>;
}

/**
 * Codes as weights that train: those of the storage kind `block-codes-training`. It computes the same rows, to the
 * rounding of float32. The lengths of rows stay as they are: so rows are used as codes can hold them, and only what
 * is rounded anew in every step trains.
 *
 * @throws EspalierError `options/invalid`, `block-codes/config`, `block-codes/map` for parts that do not belong together.
 * @example
 * const { config, weights } = startTraining(coded);
 */
export function startTraining({ rows, columns, config, weights }: CodedMatrix): TrainingMatrix {
  const shape = [rows, columns] as const;
  const layout = computeLayout(config, shape);
  const training = { kind: BLOCK_CODES_TRAINING, codes: layout.config, shape } as const;
  const { begins, parts } = computeTrainingLayout(training, shape);
  const tables = prepareTables(layout, weights);
  const u = new Float32Array(parts.u ?? 0);
  const lengths = new Float32Array(parts.lengths ?? 0);
  const codes = (weights.codes ?? new Int32Array(0)) as Int32Array;
  tables.readers.forEach((reader, p) => {
    const { block, count } = reader;
    const unit = { ...reader, lengths: undefined };
    for (let row = 0; row < block.rows; row++) {
      readCoefficients(u, begins[p]! + row * count, codes, unit, row);
      if (lengths.length > 0) lengths[block.begin + row] = readLength(codes, reader, row);
    }
  });
  const basis = tables.basis.slice();
  const { scales, positions } = tables;
  const all = { u, basis, scales, lengths, ranges: weights.ranges, positions };
  const present = Object.keys(parts).map((part) => [part, all[part as TrainingPart]]);
  return { rows, columns, config: training, weights: Object.fromEntries(present) };
}

/**
 * Codes from weights that have trained: of coefficients as training has rounded them; basis and scales are rounded to
 * bytes, which training does not see.
 *
 * @throws EspalierError `options/invalid`, `block-codes/config`; `block-codes/not-finite` after a training that has
 * diverged.
 * @example
 * const coded = await finishTraining({ rows, columns, config, weights });
 */
export async function finishTraining({
  rows,
  columns,
  config,
  weights,
}: TrainingMatrix): Promise<CodedMatrix> {
  const training = computeTrainingLayout(config, [rows, columns]);
  const { layout } = training;
  checkFinite(weights);
  const norms = measureRows(weights.basis ?? new Float32Array(0), layout);
  const { ranges, scales } = roundScales(weights, layout, norms);
  const all = {
    codes: await writeCodes(training, weights),
    basis: roundBasis(weights.basis ?? new Float32Array(0), layout),
    ...{ scales, ranges },
    map: layout.mapBits > 0 ? writeMap(layout, weights.positions as Int32Array) : undefined,
  };
  const present = Object.keys(layout.parts).map((part) => [part, all[part as BlockCodesPart]]);
  return { rows, columns, config: layout.config, weights: Object.fromEntries(present) };
}

function checkFinite(weights: TrainingMatrix['weights']): void {
  for (const [part, numbers] of Object.entries(weights)) {
    const at = numbers.findIndex((each) => !Number.isFinite(each));
    if (at < 0) continue;
    throw new EspalierError('block-codes/not-finite', {
      problem: `weights that train for codes are not finite: number ${at} of '${part}'`,
      received: numbers[at],
      fix: 'Train again with a lower learning rate.',
    });
  }
}

/** Lengths of the rows of the basis. */
function measureRows(
  basis: ArrayLike<number>,
  { basisRows, columns }: BlockCodesLayout,
): Float64Array {
  const norms = new Float64Array(basisRows);
  for (let at = 0; at < basis.length; at++) norms[Math.floor(at / columns)]! += basis[at]! ** 2;
  return norms.map(Math.sqrt);
}

/** Scales are never smaller, so that they have a logarithm. */
const SMALLEST_SCALE = 1e-30;

/** Scales on the grid of their block. A byte keeps only the direction of a row of the basis: its length goes there too. */
function roundScales(
  { scales, ranges: before }: TrainingMatrix['weights'],
  { blocks }: BlockCodesLayout,
  norms: Float64Array,
) {
  const ranges = Float32Array.from(before!);
  const codes = blocks.flatMap(({ basis, directions }, p) => {
    if (directions.length === 0) return [];
    const own = directions.map(({ scale, target }) =>
      Math.max(Math.abs(scales![scale]!) * (basis === 'none' ? 1 : norms[target]!), SMALLEST_SCALE),
    );
    const placed = placeScales(own);
    ranges.set([placed.low, placed.step], p * RANGES);
    return placed.codes;
  });
  return { ranges, scales: packBytes(Int8Array.from(codes)) };
}

/** Rows of the basis as signed bytes, the largest of each ±127. */
function roundBasis(
  basis: ArrayLike<number>,
  { basisRows, columns }: BlockCodesLayout,
): Int32Array {
  const bytes = new Int8Array(basisRows * columns);
  for (let row = 0; row < bytes.length; row += columns) {
    let largest = 0;
    for (let j = 0; j < columns; j++) largest = Math.max(largest, Math.abs(basis[row + j]!));
    if (largest === 0) continue;
    for (let j = 0; j < columns; j++)
      bytes[row + j] = Math.round((127 * basis[row + j]!) / largest);
  }
  return packBytes(bytes);
}

async function writeCodes(
  { layout, begins }: TrainingLayout,
  weights: TrainingMatrix['weights'],
): Promise<Int32Array> {
  const codes = new Int32Array(layout.parts.codes ?? 0);
  for (const [p, block] of layout.blocks.entries()) {
    await writeCoefficients(codes, block, weights, begins[p]!);
    if (block.lengths) writeLengths(codes, block, weights, p);
  }
  return codes;
}

async function writeCoefficients(
  codes: Int32Array,
  block: CodedBlock,
  { u, scales: trained }: TrainingMatrix['weights'],
  begin: number,
): Promise<void> {
  const { rows, directions } = block;
  if (directions.length === 0) return;
  const scales = directions.map(({ scale }) =>
    Math.max(Math.abs(trained![scale]!), SMALLEST_SCALE),
  );
  const own = (u as Float32Array).subarray(begin, begin + rows * directions.length);
  const coded = await codeRows({ ...block, scales }, own);
  for (let row = 0; row < rows; row++) writeRow(codes, block, row, coded.codes, row);
}

function writeLengths(
  codes: Int32Array,
  { word, width, rows, begin, lengths }: CodedBlock,
  weights: TrainingMatrix['weights'],
  p: number,
): void {
  const table = lengthTable(weights.ranges as Float32Array, p, lengths!);
  for (let row = 0; row < rows; row++) {
    const code = findLevel(weights.lengths![begin + row]!, table);
    writeCode(codes, word, width, row, 0, lengths!, code);
  }
}

function writeMap(
  { blocks, rows, mapBits, parts }: BlockCodesLayout,
  positions: Int32Array,
): Int32Array {
  const map = new Int32Array(parts.map!);
  for (let row = 0; row < rows; row++) {
    writeCode(map, 0, mapBits, row, 0, mapBits, findBlock(blocks, positions[row]!));
  }
  return map;
}
