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

/** Rows for each column from which on a block's own basis, of `columns²` bytes, may cost less than it saves. */
const LEAST_ROWS = 2;

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
  for (const [d, { cells, grams }] of divisions.entries()) {
    const measured = root ? grams.map((gram) => inMetric(gram, root, columns)) : grams;
    const diagonals = measured.map((gram) => takeDiagonal(gram, columns));
    const keepColumns = (into: readonly number[]): BasisOfBlocks => {
      return { kind: 'none', energies: sumJoined(diagonals, into), directions: [] };
    };
    if (!paysBasis(cells.of.length, columns)) {
      const into = grams.map(() => 0);
      return [{ cells: joinCells(cells, into), bases: [keepColumns(into)] }];
    }
    const whole = await findDirections(sum(measured), columns);
    const shares = await measureAll(measured, whole.vectors, columns);
    const weights = diagonals.map((values) => values.reduce((total, value) => total + value, 0));
    const counts = BLOCKS.filter((_, i) => i === 0 || BLOCKS[i - 1]! < grams.length);
    for (const count of counts) {
      if (count === 1 && d > 0) continue;
      const into = chooseJoins(cells.sizes, weights, count);
      const joined = joinCells(cells, into);
      const columnwise = root ? [] : [keepColumns(into)];
      const shared: BasisOfBlocks = {
        kind: 'shared',
        energies: sumJoined(shares, into),
        directions: [whole.vectors],
      };
      const own = findsOwn(count, columns)
        ? [await ownDirections(joined, sumJoined(measured, into), shared, whole)]
        : [];
      if (count > 1) curves.push({ cells: joined, bases: [shared, ...own, ...columnwise] });
      if (own.length > 0) curves.push({ cells: joined, bases: [...own, ...columnwise] });
    }
  }
  return curves;
}

/** Sums of the groups that join. */
function sumJoined(
  groups: readonly Float64Array[],
  into: readonly number[],
): readonly Float64Array[] {
  const joined: Float64Array[][] = [];
  groups.forEach((group, cell) => (joined[into[cell]!] ??= []).push(group));
  return joined.map(sum);
}

function inMetric(gram: Float64Array, root: Float64Array, columns: number): Float64Array {
  return multiply(root, multiply(gram, root, columns), columns);
}

/** Whether a basis of their own may be worth its bytes to so many rows. */
function paysBasis(rows: number, columns: number): boolean {
  return 2 * rows >= columns;
}

async function ownDirections(
  { sizes }: Cells,
  grams: readonly Float64Array[],
  shared: BasisOfBlocks,
  whole: Directions,
): Promise<BasisOfBlocks> {
  if (grams.length === 1) {
    return { kind: 'own', energies: [whole.values], directions: [whole.vectors] };
  }
  const columns = whole.values.length;
  const found: Directions[] = [];
  for (const [p, gram] of grams.entries()) {
    const own = sizes[p]! >= LEAST_ROWS * columns;
    const common = { values: shared.energies[p]!, vectors: shared.directions[0]! };
    found.push(own ? await findDirections(gram, columns) : common);
  }
  const energies = found.map(({ values }) => values);
  return { kind: 'own', energies, directions: found.map(({ vectors }) => vectors) };
}

/** Energies of each group in directions that are not its own. */
async function measureAll(
  grams: readonly Float64Array[],
  vectors: Float32Array,
  columns: number,
): Promise<readonly Float64Array[]> {
  const measure = columns > WIDE ? measureWide : measureAlong;
  const energies: Float64Array[] = [];
  for (const gram of grams) energies.push(await measure(gram, vectors, columns));
  return energies;
}

function takeDiagonal(gram: Float64Array, columns: number): Float64Array {
  return Float64Array.from({ length: columns }, (_, j) => gram[j * (columns + 1)]!);
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

/** Of one array the array itself. */
function sum(arrays: readonly Float64Array[]): Float64Array {
  if (arrays.length === 1) return arrays[0]!;
  const total = Float64Array.from(arrays[0]!);
  for (const array of arrays.slice(1)) {
    for (let i = 0; i < total.length; i++) total[i]! += array[i]!;
  }
  return total;
}
