/**
 * A draw from Beta(α, α), exact for every α > 0: G₁ / (G₁ + G₂) of two gamma draws, in logarithms, so
 * that a small α ends at 0 or 1 and never at 0 / 0.
 *
 * @param alpha α > 0; 1 is uniform, below 1 the ends are likelier than the middle.
 * @param draw uniform draws in [0, 1).
 * @returns a number in [0, 1].
 * @example
 * const lambda = drawBeta(0.2, ctx.random(`mix ${batch.key}`));
 */
export function drawBeta(alpha: number, draw: () => number): number {
  const [first, second] = [logGamma(alpha + 1, draw), logGamma(alpha + 1, draw)];
  // Gamma(α) is Gamma(α + 1) · U^(1/α). One difference first: two infinities have none.
  const boost = (Math.log(1 - draw()) - Math.log(1 - draw())) / alpha;
  return 1 / (1 + Math.exp(second - first - boost));
}

/** The logarithm of a draw from Gamma(shape), shape ≥ 1 (Marsaglia & Tsang 2000). */
function logGamma(shape: number, draw: () => number): number {
  const d = shape - 1 / 3;
  for (;;) {
    const normal = Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
    const v = (1 + normal / Math.sqrt(9 * d)) ** 3;
    if (v <= 0) continue;
    const bound = normal ** 2 / 2 + d * (1 - v + Math.log(v));
    if (Math.log(1 - draw()) < bound) return Math.log(d) + Math.log(v);
  }
}
