/**
 * Counts `[words]` without zeros: a word that never occurred counts as one that occurred once, or, where
 * counts are fractions below one, as the rarest word that occurred.
 *
 * @example
 * floorCounts(Float64Array.of(0, 3)); // [1, 3]
 */
export function floorCounts(counts: Float64Array): Float64Array {
  const least = counts.reduce((a, b) => (b > 0 && b < a ? b : a), 1);
  return counts.map((count) => Math.max(count, least));
}
