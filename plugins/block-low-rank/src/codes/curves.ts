import { eigenpairs, multiply, project } from '@espalier/linalg';
import { chooseJoins, joinCells } from './cells.js';
import type { Cells } from './cells.js';
import type { BlockConfig } from './layout.js';

/** A basis that blocks may be coded in, with what each of its directions is worth. */
export interface BasisOfBlocks {
  readonly kind: BlockConfig['basis'];
  /** Of each block `[columns]`: weighted squared error of a direction without bits. */
  readonly energies: readonly Float64Array[];
  /**
   * `[columns, columns]`, direction k in column k, in the metric if there is one: of each block, of all blocks
   * one (`shared`), none where directions are columns of the matrix.
   */
  readonly directions: readonly Float32Array[];
}

/** A division of the rows into blocks, and the bases that each may be coded in. */
export interface Curve {
  readonly cells: Cells;
  readonly bases: readonly BasisOfBlocks[];
}

/** A division into groups, with sums over each. */
export interface Division {
  readonly cells: Cells;
  readonly grams: readonly Float64Array[];
}

/** Numbers of blocks that are tried. */
const BLOCKS = [1, 2, 4, 8, 16, 24];

/** Columns from which on products are faster on the backend. */
const WIDE = 256;

/** Whether bases that blocks have to themselves are found for so many blocks: for fewer where columns make that slow. */
function findsOwn(blocks: number, columns: number): boolean {
  if (columns <= 128) return true;
  return (columns <= 256 ? [1, 4, 16] : [1, 4]).includes(blocks);
}

/** All ways to code the blocks of some divisions, for any budget. */
export async function listCurves(
  divisions: readonly Division[],
  columns: number,
  root?: Float64Array,
): Promise<readonly Curve[]> {
  const curves: Curve[] = [];
  for (const [d, division] of divisions.entries()) {
    const measured = root ? inMetric(division, root, columns) : division;
    const counts = BLOCKS.filter((count, i) => i === 0 || BLOCKS[i - 1]! < measured.grams.length);
    if (!paysBasis(division.cells.of.length, columns)) {
      const { cells, grams } = joinDivision(division, 1, columns);
      return [{ cells, bases: [keepColumns({ cells, grams }, columns)] }];
    }
    const whole = await findDirections(sumGrams(measured.grams), columns);
    for (const count of counts) {
      if (count === 1 && d > 0) continue;
      const joined = joinDivision(measured, count, columns);
      const columnwise = root ? [] : [keepColumns(joined, columns)];
      const shared = await shareDirections(joined, whole.vectors, columns);
      const own = findsOwn(count, columns)
        ? [await ownDirections(joined, shared, whole, columns)]
        : [];
      const { cells } = joined;
      if (count > 1) curves.push({ cells, bases: [shared, ...own, ...columnwise] });
      if (own.length > 0) curves.push({ cells, bases: [...own, ...columnwise] });
    }
  }
  return curves;
}

function joinDivision({ cells, grams }: Division, count: number, columns: number): Division {
  const energies = grams.map((gram) => trace(gram, columns));
  const into = chooseJoins(cells.sizes, energies, count);
  const joined: Float64Array[] = [];
  grams.forEach((gram, cell) => {
    const sum = (joined[into[cell]!] ??= new Float64Array(columns ** 2));
    for (let i = 0; i < sum.length; i++) sum[i]! += gram[i]!;
  });
  return { cells: joinCells(cells, into), grams: joined };
}

function inMetric({ cells, grams }: Division, root: Float64Array, columns: number): Division {
  const turn = (gram: Float64Array) => multiply(root, multiply(gram, root, columns), columns);
  return { cells, grams: grams.map(turn) };
}

/** Whether a basis of their own may be worth its bytes to so many rows. */
function paysBasis(rows: number, columns: number): boolean {
  return 2 * rows >= columns;
}

async function ownDirections(
  { cells, grams }: Division,
  shared: BasisOfBlocks,
  whole: Directions,
  columns: number,
): Promise<BasisOfBlocks> {
  if (grams.length === 1) {
    return { kind: 'own', energies: [whole.values], directions: [whole.vectors] };
  }
  const found: Directions[] = [];
  for (const [p, gram] of grams.entries()) {
    const own = paysBasis(cells.sizes[p]!, columns);
    const common = { values: shared.energies[p]!, vectors: shared.directions[0]! };
    found.push(own ? await findDirections(gram, columns) : common);
  }
  const energies = found.map(({ values }) => values);
  return { kind: 'own', energies, directions: found.map(({ vectors }) => vectors) };
}

/** Energies of each block in directions that are not its own. */
async function shareDirections(
  { grams }: Division,
  vectors: Float32Array,
  columns: number,
): Promise<BasisOfBlocks> {
  const energies: Float64Array[] = [];
  for (const gram of grams) {
    const measure = columns > WIDE ? measureWide : measureAlong;
    energies.push(await measure(gram, vectors, columns));
  }
  return { kind: 'shared', energies, directions: [vectors] };
}

function keepColumns({ grams }: Division, columns: number): BasisOfBlocks {
  const energies = grams.map((gram) =>
    Float64Array.from({ length: columns }, (_, j) => gram[j * (columns + 1)]!),
  );
  return { kind: 'none', energies, directions: [] };
}

interface Directions {
  readonly values: Float64Array;
  readonly vectors: Float32Array;
}

async function findDirections(gram: Float64Array, columns: number): Promise<Directions> {
  const { values, vectors } = await eigenpairs(gram, columns);
  return { values: values.map((value) => Math.max(value, 0)), vectors };
}

/** The diagonal of Vᵀ G V. */
function measureAlong(gram: Float64Array, vectors: Float32Array, columns: number): Float64Array {
  const sums = new Float64Array(columns);
  const row = new Float64Array(columns);
  for (let i = 0; i < columns; i++) {
    row.fill(0);
    for (let j = 0; j < columns; j++) {
      const entry = gram[i * columns + j]!;
      for (let k = 0; k < columns; k++) row[k]! += entry * vectors[j * columns + k]!;
    }
    for (let k = 0; k < columns; k++) sums[k]! += row[k]! * vectors[i * columns + k]!;
  }
  return sums.map((sum) => Math.max(sum, 0));
}

/** {@link measureAlong} by products on the backend, in float32. */
async function measureWide(
  gram: Float64Array,
  vectors: Float32Array,
  columns: number,
): Promise<Float64Array> {
  const square = { rows: columns, columns };
  const turned = await project(
    { data: Float32Array.from(gram), ...square },
    { data: vectors, ...square },
  );
  const sums = new Float64Array(columns);
  turned.data.forEach((value, at) => (sums[at % columns]! += value * vectors[at]!));
  return sums.map((sum) => Math.max(sum, 0));
}

function sumGrams(grams: readonly Float64Array[]): Float64Array {
  return grams.reduce((sum, gram) => sum.map((value, i) => value + gram[i]!));
}

function trace(gram: Float64Array, columns: number): number {
  let sum = 0;
  for (let j = 0; j < columns; j++) sum += gram[j * (columns + 1)]!;
  return sum;
}
