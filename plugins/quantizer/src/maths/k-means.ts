/** Rounds of Lloyd's algorithm after each doubling; 1-D data settle well before. */
const ROUNDS = 100;

/**
 * A codebook by k-means: the mean of all values, split until there are 2^bits entries, each time
 * settled by Lloyd's algorithm (Linde, Buzo, Gray 1980). A cell is split at its entry into two with
 * their own means, so every doubling lowers the squared error. Deterministic.
 *
 * @returns Rising float32 entries `[2^bits]`.
 */
export function kMeans(values: Float32Array, bits: number): Float32Array {
  const sums = prefixSums(values.slice().sort());
  let centres: Float64Array = Float64Array.of(computeMean(sums, 0, values.length, 0));
  for (let i = 0; i < bits; i++) centres = runLloyd(sums, split(sums, centres));
  return Float32Array.from(centres);
}

interface Sorted {
  readonly values: Float32Array;
  /** Sum of the first i values: `[n + 1]`. */
  readonly sums: Float64Array;
}

function prefixSums(values: Float32Array): Sorted {
  const sums = new Float64Array(values.length + 1);
  for (let i = 0; i < values.length; i++) sums[i + 1] = sums[i]! + values[i]!;
  return { values, sums };
}

/** Mean of the values `begin … end − 1`; of none, `otherwise`. */
function computeMean({ sums }: Sorted, begin: number, end: number, otherwise: number): number {
  return end > begin ? (sums[end]! - sums[begin]!) / (end - begin) : otherwise;
}

/** Where each centre's cell begins, and the number of values at the end. */
function findBounds(sorted: Sorted, centres: Float64Array): Int32Array {
  const bounds = new Int32Array(centres.length + 1);
  for (let i = 1; i < centres.length; i++) {
    bounds[i] = lowerBound(sorted.values, (centres[i - 1]! + centres[i]!) / 2);
  }
  bounds[centres.length] = sorted.values.length;
  return bounds;
}

function split(sorted: Sorted, centres: Float64Array): Float64Array {
  const bounds = findBounds(sorted, centres);
  const halves = new Float64Array(2 * centres.length);
  centres.forEach((centre, i) => {
    const [begin, end] = [bounds[i]!, bounds[i + 1]!];
    const at = Math.min(Math.max(lowerBound(sorted.values, centre), begin), end);
    halves[2 * i] = computeMean(sorted, begin, at, centre);
    halves[2 * i + 1] = computeMean(sorted, at, end, centre);
  });
  return halves;
}

function runLloyd(sorted: Sorted, start: Float64Array): Float64Array {
  let centres = start;
  for (let round = 0; round < ROUNDS; round++) {
    const bounds = findBounds(sorted, centres);
    const next = centres.map((centre, i) =>
      computeMean(sorted, bounds[i]!, bounds[i + 1]!, centre),
    );
    if (next.every((centre, i) => centre === centres[i])) break;
    centres = next;
  }
  return centres;
}

/** Number of sorted values below x. */
function lowerBound(sorted: Float32Array, x: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < x) low = middle + 1;
    else high = middle;
  }
  return low;
}
