import type { Matrix } from '@espalier/compression';
import { project } from '@espalier/linalg';
import { decodeBasis, lengthTable, scaleOf } from './decode.js';
import { measureGains, placeLengths, rangeSquares } from './fit-lengths.js';
import { computeLayout, RANGES } from './layout.js';
import type { BlockCodesLayout, CodedBlock } from './layout.js';
import type { RowWeights } from './objective.js';
import { toConfig } from './plan.js';
import type { CodesPlan } from './plan.js';
import { packBytes } from './row-bits.js';
import { fitScales, placeScales } from './scales.js';
import type { Sample } from './survey.js';
import { roundBasis, turnRows } from './turn-rows.js';
import type { Metric, TurnedRows } from './turn-rows.js';

/** What coding needs of rows that were surveyed. */
export interface Surveyed extends RowWeights {
  readonly sample: Sample;
  /** Squared lengths of rows: `[rows]`. */
  readonly squares: Float64Array;
  readonly metric?: Metric | undefined;
}

/** How the rows of one block become codes and numbers again. */
export interface BlockCoder {
  readonly block: CodedBlock;
  /** `[columns, directions]`: what rows are multiplied with to get their coordinates; none: columns are taken. */
  readonly into?: Matrix;
  /** `[directions, columns]`: what coordinates are multiplied with. */
  readonly back?: Matrix;
  /** What a unit of each coordinate weighs in the metric, squared. */
  readonly units: Float64Array;
  readonly scales: Float32Array;
  /** What codes of lengths stand for, and the grid that they lie on. */
  readonly lengths?: { readonly table: Float32Array; readonly low: number; readonly step: number };
}

/** Coders of all blocks, with the weights that they share. */
export interface Coders {
  readonly layout: BlockCodesLayout;
  readonly blocks: readonly BlockCoder[];
  readonly weights: {
    readonly ranges: Float32Array;
    readonly basis?: Int32Array;
    readonly scales?: Int32Array;
  };
}

/** Rounds bases and scales of a plan as they are stored, and what turns rows into codes by them. */
export async function makeCoders(plan: CodesPlan, surveyed: Surveyed): Promise<Coders> {
  const { columns } = surveyed.sample;
  const layout = computeLayout(toConfig(plan), [surveyed.weights.length, columns]);
  const bytes = roundBasis(plan, layout, surveyed.metric);
  const words = packBytes(bytes);
  const basis = decodeBasis(layout, words);
  const ranges = new Float32Array(RANGES * layout.blocks.length);
  const scaleCodes: number[] = [];
  const blocks: BlockCoder[] = [];
  const samples = splitSample(plan, surveyed);
  const reaches = rangeSquares(plan, surveyed.squares);
  const known = new Map<string, ReturnType<typeof turnRows>>();
  for (const [p, block] of layout.blocks.entries()) {
    const directions = `${block.basis} ${block.directions.map(({ target }) => target).join(' ')}`;
    // Blocks often have all shared directions: what turns rows into them is the same.
    const turned = known.get(directions) ?? turnRows(block, basis, columns, surveyed.metric);
    known.set(directions, turned);
    const fitted = await fitBlock(block, turned, samples[p]!, reaches[p]!, surveyed);
    ranges.set(fitted.range, p * RANGES);
    scaleCodes.push(...fitted.codes);
    blocks.push(finishCoder(block, turned, fitted.codes, ranges, p));
  }
  return {
    layout,
    blocks,
    weights: {
      ranges,
      ...(words.length > 0 && { basis: words }),
      ...(scaleCodes.length > 0 && { scales: packBytes(Int8Array.from(scaleCodes)) }),
    },
  };
}

/** Sampled rows of each block, by their number in the sample. */
function splitSample({ curve }: CodesPlan, { sample }: Surveyed): readonly Int32Array[] {
  const lists: number[][] = curve.cells.sizes.map(() => []);
  sample.ids.forEach((id, i) => lists[curve.cells.of[id]!]!.push(i));
  return lists.map((list) => Int32Array.from(list));
}

/** Coordinates of rows `[rows, directions]`: products with a basis, or some of the columns. */
export async function takeCoordinates(
  matrix: Matrix,
  select: Int32Array,
  { into }: Pick<BlockCoder, 'into'>,
  { directions }: CodedBlock,
): Promise<Float32Array> {
  const count = directions.length;
  if (count === 0) return new Float32Array(0);
  if (into) return (await project(matrix, into, { select })).data;
  const taken = new Float32Array(select.length * count);
  select.forEach((row, i) => {
    directions.forEach(({ target }, k) => {
      taken[i * count + k] = matrix.data[row * matrix.columns + target]!;
    });
  });
  return taken;
}

interface Fitted {
  readonly codes: readonly number[];
  readonly range: readonly [
    scaleLow: number,
    scaleStep: number,
    lengthLow: number,
    lengthStep: number,
  ];
}

/** Scales by least squares on the sampled rows, and how far lengths reach. */
async function fitBlock(
  block: CodedBlock,
  turned: TurnedRows,
  select: Int32Array,
  reach: { readonly low: number; readonly high: number },
  { sample, weights, squares }: Surveyed,
): Promise<Fitted> {
  const { directions, lengths } = block;
  const count = directions.length;
  if (count === 0) return { codes: [], range: [0, 0, 0, 0] };
  const coordinates = await takeCoordinates(sample, select, turned, block);
  const own = Float64Array.from(select, (i) => {
    const row = sample.ids[i]!;
    return weights[row]! * sample.copies[i]! * (lengths ? squares[row]! : 1);
  });
  if (lengths) divideByLengths(coordinates, select, sample, squares);
  const { units } = turned;
  const scales = await fitScales(block, coordinates, own);
  const { codes, low, step } = placeScales([...scales]);
  if (!lengths) return { codes, range: [low, step, 0, 0] };
  const decoded = codes.map((code) => Math.exp(low + step * code));
  const gains = await measureGains(coordinates, { ...block, scales: decoded }, units);
  return { codes, range: [low, step, ...placeLengths(gains, reach, lengths)] };
}

function divideByLengths(
  coordinates: Float32Array,
  select: Int32Array,
  { ids }: Sample,
  squares: Float64Array,
): void {
  const count = coordinates.length / select.length;
  select.forEach((i, at) => {
    const length = Math.sqrt(squares[ids[i]!]!) || 1;
    for (let k = 0; k < count; k++) coordinates[at * count + k]! /= length;
  });
}

function finishCoder(
  block: CodedBlock,
  turned: TurnedRows,
  codes: readonly number[],
  ranges: Float32Array,
  p: number,
): BlockCoder {
  const scales = Float32Array.from(codes, (code) => scaleOf(ranges, p, code));
  const { lengths } = block;
  return {
    block,
    ...turned,
    scales,
    ...(lengths && {
      lengths: {
        table: lengthTable(ranges, p, lengths),
        low: ranges[p * RANGES + 2]!,
        step: ranges[p * RANGES + 3]!,
      },
    }),
  };
}
