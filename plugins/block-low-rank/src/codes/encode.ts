import type { Matrix, WorkStore } from '@espalier/compression';
import { project } from '@espalier/linalg';
import { selectRows } from '../maths/rows.js';
import type { Cells } from './cells.js';
import { CodeWords } from './code-words.js';
import type { OpenRows } from './code-words.js';
import { takeCoordinates } from './coders.js';
import type { BlockCoder, Coders, Surveyed } from './coders.js';
import type { BlockCodesWeights } from './decode.js';
import type { BlockCodesConfig, BlockCodesLayout, CodedBlock } from './layout.js';
import { codeRows, measureGain } from './piece-coders.js';
import { writeCode } from './row-bits.js';
import { readChunks } from './row-source.js';
import type { RowSource } from './row-source.js';
import { splitRows } from './survey.js';
import type { OnRows } from './survey.js';

/** A matrix in codes of blocks. */
export interface BlockCodes {
  readonly config: BlockCodesConfig;
  readonly weights: BlockCodesWeights;
}

/** Squared errors, and squared lengths to compare them with. */
export interface SquaredErrors {
  readonly plain: number;
  readonly plainWhole: number;
  readonly weighted: number;
  readonly weightedWhole: number;
}

/** How far the second pass has come. */
interface Progress {
  /** Rows whose codes are written. */
  readonly done: number;
  /** The same of each block. */
  readonly next: readonly number[];
  readonly sums: SquaredErrors;
}

/** Under which the codes, and how far they have come, are kept. */
const [CODES, PROGRESS] = ['codes', 'codes-done'];

/** The second pass over the rows: codes of all, and what they lose. It goes on where `work` has come to. */
export async function encodeRows(
  source: RowSource,
  { layout, blocks, weights: shared }: Coders,
  cells: Cells,
  surveyed: Surveyed,
  work: WorkStore,
  onRows?: OnRows,
): Promise<BlockCodes & { readonly errors: SquaredErrors }> {
  const length = layout.parts.codes ?? 0;
  const store = await work.openWords(CODES, length);
  const before = await readProgress(work);
  const sums = { ...(before?.sums ?? NO_ERRORS) };
  const next = before?.next ?? blocks.map(() => 0);
  const codes = await CodeWords.open(layout.blocks, store, next);
  for await (const chunk of readChunks(source, before?.done)) {
    for (const [p, select] of splitRows(chunk, cells)) {
      const squares = surveyed.squares.subarray(chunk.begin, chunk.begin + chunk.rows);
      const room = codes.openRows(p, select.length);
      const values = await encodeBlockRows(chunk, select, squares, blocks[p]!, room);
      await codes.close(p, room, select.length);
      const decoded = await turnBack(values, select.length, blocks[p]!, chunk.columns);
      await addErrors(sums, chunk, select, decoded, surveyed, chunk.begin);
    }
    const done = chunk.begin + chunk.rows;
    await keepProgress(work, codes, { done, next: codes.next, sums });
    onRows?.(done, source.rows);
  }
  const map = writeMap(layout, cells);
  const weights = {
    ...(length > 0 && { codes: await store.read(0, length) }),
    ...shared,
    ...(map.length > 0 && { map }),
  };
  return { config: layout.config, weights, errors: sums };
}

const NO_ERRORS: SquaredErrors = { plain: 0, plainWhole: 0, weighted: 0, weightedWhole: 0 };

async function readProgress(work: WorkStore): Promise<Progress | undefined> {
  const bytes = await work.read(PROGRESS);
  return bytes && (JSON.parse(new TextDecoder().decode(bytes)) as Progress);
}

async function keepProgress(work: WorkStore, codes: CodeWords, progress: Progress): Promise<void> {
  await codes.flush();
  await work.write(PROGRESS, [new TextEncoder().encode(JSON.stringify(progress))]);
}

/** The number of each row's block, where rows are in another order than blocks. */
function writeMap({ mapBits, parts: { map: length = 0 } }: BlockCodesLayout, { of }: Cells) {
  const map = new Int32Array(length);
  for (let row = 0; length > 0 && row < of.length; row++) {
    writeCode(map, 0, mapBits, row, 0, mapBits, of[row]!);
  }
  return map;
}

/**
 * Codes of rows of one block, written to `room`, if there is any.
 *
 * @returns coordinates `[rows, directions]` as they will be decoded, lengths included.
 */
export async function encodeBlockRows(
  matrix: Matrix,
  select: Int32Array,
  squares: Float64Array,
  coder: BlockCoder,
  room?: OpenRows,
): Promise<Float32Array> {
  const { block, scales, units, lengths } = coder;
  const count = block.directions.length;
  const coordinates = await takeCoordinates(matrix, select, coder, block);
  if (count === 0) return coordinates;
  const own = Float64Array.from(select, (row) => Math.sqrt(squares[row]!));
  const divisors = lengths && own.map((length) => length || 1);
  const coded = await codeRows({ ...block, scales }, coordinates, divisors);
  const { values } = coded;
  const inRoom = { ...block, word: 0 };
  for (let i = 0; i < select.length; i++) {
    if (room) writeRow(room.words, inRoom, room.next + i, coded.codes, i);
    if (!lengths) continue;
    const gain = measureGain(values, coordinates, i * count, units);
    const code = own[i] === 0 ? 0 : codeLength(gain, lengths);
    if (room) writeCode(room.words, 0, block.width, room.next + i, 0, block.lengths!, code);
    for (let k = 0; k < count; k++) values[i * count + k]! *= lengths.table[code]!;
  }
  return values;
}

/** Writes the codes of the pieces of a row; `own` is `[rows, pieces]`, of which row `i` is meant. */
export function writeRow(
  codes: Int32Array,
  { word, width, pieces }: CodedBlock,
  row: number,
  own: Uint16Array,
  i: number,
): void {
  for (let p = 0; p < pieces.length; p++) {
    const { shift, width: bits } = pieces[p]!;
    writeCode(codes, word, width, row, shift, bits, own[i * pieces.length + p]!);
  }
}

function codeLength(
  length: number,
  { table, low, step }: NonNullable<BlockCoder['lengths']>,
): number {
  if (!(length > 0) || step === 0) return 1;
  const code = 1 + Math.round((Math.log(length) - low) / step);
  return Math.max(1, Math.min(table.length - 1, code));
}

/** Rows from their coordinates: `[rows, columns]`. */
export async function turnBack(
  coordinates: Float32Array,
  rows: number,
  { back, block: { directions } }: BlockCoder,
  columns: number,
): Promise<Float32Array> {
  const count = directions.length;
  if (count > 0 && back) {
    return (await project({ data: coordinates, rows, columns: count }, back)).data;
  }
  const decoded = new Float32Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    directions.forEach(({ target }, k) => {
      decoded[i * columns + target] = coordinates[i * count + k]!;
    });
  }
  return decoded;
}

async function addErrors(
  sums: { -readonly [K in keyof SquaredErrors]: number },
  chunk: Matrix,
  select: Int32Array,
  decoded: Float32Array,
  surveyed: Surveyed,
  begin: number,
): Promise<void> {
  const errors = await measureErrors(chunk, select, decoded, surveyed, (i) => begin + i);
  sums.plain += errors.plain;
  sums.plainWhole += errors.plainWhole;
  sums.weighted += errors.weighted;
  sums.weightedWhole += errors.weightedWhole;
}

/**
 * Squared errors of decoded rows `[select.length, columns]`.
 *
 * @param rowOf The row of the whole matrix that row i of `matrix` is.
 * @param copies How many rows each row of `matrix` stands for; default 1.
 */
export async function measureErrors(
  matrix: Matrix,
  select: Int32Array,
  decoded: Float32Array,
  { weights, angular, squares, metric }: Surveyed,
  rowOf: (i: number) => number,
  copies?: Float64Array,
): Promise<SquaredErrors> {
  const { columns } = matrix;
  const original = selectRows(matrix.data, select, columns);
  const difference = original.map((value, at) => value - decoded[at]!);
  const [measured, whole] = metric
    ? [
        await inMetric(difference, columns, metric.root),
        await inMetric(original, columns, metric.root),
      ]
    : [difference, original];
  const sums = { plain: 0, plainWhole: 0, weighted: 0, weightedWhole: 0 };
  select.forEach((own, i) => {
    const [row, copy] = [rowOf(own), copies ? copies[own]! : 1];
    const [error, square] = [sumSquares(difference, i, columns), squares[row]!];
    const [weight, turned] = [weights[row]!, angular ? angular[row]! : 0];
    const sine = turned > 0 ? square * measureSine(original, decoded, i, columns) : 0;
    const straight = metric ? sumSquares(measured, i, columns) : error;
    sums.plain += copy * error;
    sums.plainWhole += copy * square;
    sums.weighted += copy * ((weight - turned) * straight + turned * sine);
    sums.weightedWhole += copy * weight * (metric ? sumSquares(whole, i, columns) : square);
  });
  return sums;
}

async function inMetric(data: Float32Array, columns: number, root: Float64Array) {
  const by = { data: Float32Array.from(root), rows: columns, columns };
  return (await project({ data, rows: data.length / columns, columns }, by)).data;
}

/** The squared sine of the angle between row `i` of both; 1 where one of them is zeros. */
function measureSine(a: Float32Array, b: Float32Array, i: number, columns: number): number {
  let product = 0;
  for (let at = i * columns; at < (i + 1) * columns; at++) product += a[at]! * b[at]!;
  const squares = sumSquares(a, i, columns) * sumSquares(b, i, columns);
  return squares > 0 ? Math.max(0, 1 - product ** 2 / squares) : 1;
}

/** The squared length of row `i`. */
function sumSquares(data: Float32Array, i: number, columns: number): number {
  let sum = 0;
  for (let at = i * columns; at < (i + 1) * columns; at++) sum += data[at]! ** 2;
  return sum;
}
