/** The `k` largest of `values` but that of `self`, by position, in falling order; of equals the first. */
export function findNearest(values: Float32Array, self: number, k: number): Int32Array {
  const best = new Int32Array(k);
  let size = 0;
  for (let i = 0; i < values.length; i++) {
    if (i === self || (size === k && !(values[i]! > values[best[k - 1]!]!))) continue;
    let at = size === k ? k - 1 : size++;
    for (; at > 0 && values[best[at - 1]!]! < values[i]!; at--) best[at] = best[at - 1]!;
    best[at] = i;
  }
  return best;
}
