/** Rows in groups, from which blocks are made: which group each row is in. */
export interface Cells {
  /** Whether groups follow each other in the order of rows, so that no map is needed. */
  readonly inOrder: boolean;
  /** `[rows]`. */
  readonly of: Uint8Array;
  /** Rows of each. */
  readonly sizes: readonly number[];
}

/** The most groups to begin with. */
const MOST = 24;
/** Fewer rows are no group. */
const LEAST_ROWS = 64;

/** Groups in the order of rows: finer where rows are few, since the first are often the most frequent. */
export function cutByPosition(rows: number): Cells {
  const cuts = Array.from({ length: MOST }, (_, i) => Math.round(rows / 1.5 ** i));
  return makeCells(rows, spread(cuts, rows));
}

/** Groups of like weight: cut at equal steps of its logarithm, at equal sizes, and where the first weight ends. */
export function cutByWeight(weights: Float64Array): Cells {
  const rows = weights.length;
  const order = Int32Array.from({ length: rows }, (_, row) => row).sort(
    (a, b) => weights[b]! - weights[a]! || a - b,
  );
  const ends = findClassEnds(order, weights);
  const cuts = spread([...chooseBySteps(order, weights, ends), ...chooseBySizes(rows, ends)], rows);
  return makeCells(rows, cuts, order);
}

/** Where the weight changes along the order. */
function findClassEnds(order: Int32Array, weights: Float64Array): readonly number[] {
  const ends: number[] = [];
  for (let i = 1; i < order.length; i++) {
    if (weights[order[i]!]! < weights[order[i - 1]!]!) ends.push(i);
  }
  return ends;
}

/** Changes of weight that are nearest to equal steps of its logarithm. */
function chooseBySteps(
  order: Int32Array,
  weights: Float64Array,
  ends: readonly number[],
): readonly number[] {
  const logarithm = (i: number) => Math.log(weights[order[i]!]!);
  const positive = ends.filter((end) => weights[order[end]!]! > 0);
  const last = positive.at(-1);
  if (last === undefined) return ends.slice(-1);
  const [high, low] = [logarithm(0), logarithm(last)];
  const chosen: number[] = [...ends.slice(-1), last];
  let next = 0;
  for (let step = 1; step < MOST / 2; step++) {
    const limit = high + ((low - high) * step) / (MOST / 2);
    while (next < positive.length - 1 && logarithm(positive[next]!) > limit) next++;
    chosen.push(positive[next]!);
  }
  return chosen;
}

/** Equal sizes, cut where the weight changes if it does so nearby. */
function chooseBySizes(rows: number, ends: readonly number[]): readonly number[] {
  const size = rows / (MOST / 2);
  const chosen: number[] = [];
  let next = 0;
  for (let wanted = size; wanted < rows - 1; wanted += size) {
    while (next < ends.length - 1 && ends[next]! < wanted) next++;
    const near = [ends[next - 1], ends[next]].find(
      (end) => end !== undefined && Math.abs(end - wanted) < size / 2,
    );
    chosen.push(near ?? Math.round(wanted));
  }
  return chosen;
}

/** Cuts in their order, those left out that would leave too few rows. */
function spread(cuts: readonly number[], rows: number): readonly number[] {
  const sorted = [...new Set(cuts)].filter((cut) => cut < rows).sort((a, b) => a - b);
  const kept: number[] = [];
  for (const cut of sorted) {
    const enough = cut - (kept.at(-1) ?? 0) >= LEAST_ROWS && rows - cut >= LEAST_ROWS;
    if (enough) kept.push(cut);
  }
  return kept;
}

function makeCells(rows: number, cuts: readonly number[], order?: Int32Array): Cells {
  const of = new Uint8Array(rows);
  const bounds = [0, ...cuts, rows];
  for (let cell = 0; cell + 1 < bounds.length; cell++) {
    for (let i = bounds[cell]!; i < bounds[cell + 1]!; i++) of[order ? order[i]! : i] = cell;
  }
  const sizes = bounds.slice(1).map((bound, cell) => bound - bounds[cell]!);
  return { inOrder: of.every((cell, row) => row === 0 || cell >= of[row - 1]!), of, sizes };
}

/** Groups joined to larger ones: a number for each of the old. */
export function joinCells({ inOrder, of, sizes }: Cells, into: readonly number[]): Cells {
  const joined: number[] = [];
  sizes.forEach((size, cell) => (joined[into[cell]!] = (joined[into[cell]!] ?? 0) + size));
  return { inOrder, of: of.map((cell) => into[cell]!), sizes: joined };
}

/**
 * Joins neighbours until `count` are left, those first whose rows are most alike: of like energy a row, of which the
 * logarithm of the geometric mean tells what one number of bits for both costs.
 *
 * @param energies Weighted squared length of each group.
 * @returns for each group the number of its new one.
 */
export function chooseJoins(
  sizes: readonly number[],
  energies: readonly number[],
  count: number,
): readonly number[] {
  let groups = sizes.map((size, i) => ({ size, energy: energies[i]!, cells: [i] }));
  const cost = ({ size, energy }: { size: number; energy: number }) =>
    energy > 0 ? size * Math.log(energy / size) : 0;
  const join = (i: number) => ({
    size: groups[i]!.size + groups[i + 1]!.size,
    energy: groups[i]!.energy + groups[i + 1]!.energy,
    cells: [...groups[i]!.cells, ...groups[i + 1]!.cells],
  });
  while (groups.length > count) {
    const losses = groups
      .slice(1)
      .map((right, i) => cost(join(i)) - cost(groups[i]!) - cost(right));
    const at = losses.indexOf(Math.min(...losses));
    groups = [...groups.slice(0, at), join(at), ...groups.slice(at + 2)];
  }
  const into: number[] = [];
  groups.forEach(({ cells }, g) => cells.forEach((cell) => (into[cell] = g)));
  return into;
}
