/**
 * Counts without zeros: a word that never occurred counts as one that occurred once, or as the
 * rarest that did where counts are fractions below one.
 */
export function floorCounts(counts: Float64Array): Float64Array {
  const least = counts.reduce((a, b) => (b > 0 && b < a ? b : a), 1);
  return counts.map((count) => Math.max(count, least));
}
