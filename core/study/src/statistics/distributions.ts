import { compiled, lgam, ndtr, ndtri, stdtr, stdtri } from 'cephes';

// The functions are WebAssembly, which compiles asynchronously.
await compiled;

/** P(Z ≤ z) of the standard normal distribution. */
export const normalCdf = (z: number): number => ndtr(z);

/** The z with P(Z ≤ z) = p, for 0 < p < 1. */
export const normalQuantile = (p: number): number => ndtri(p);

/** P(T ≤ t) of Student's t distribution; `df` is a whole number of degrees of freedom. */
export const tCdf = (t: number, df: number): number => stdtr(df, t);

const STEPS = 6;

/**
 * The t with P(T ≤ t) = p, for 0 < p < ½. Cephes' `stdtri` loses digits where p is below 1e-8 (a tenth of the
 * value at 5e-16); Newton's method for log P restores them.
 */
export function tQuantile(p: number, df: number): number {
  const logScale = lgam((df + 1) / 2) - lgam(df / 2) - Math.log(df * Math.PI) / 2;
  let t = stdtri(df, p);
  for (let step = 0; step < STEPS; step++) {
    const below = stdtr(df, t);
    const density = Math.exp(logScale - ((df + 1) / 2) * Math.log1p((t * t) / df));
    const error = (Math.log(below / p) * below) / density;
    t -= error;
    if (Math.abs(error) <= Number.EPSILON * Math.abs(t)) break;
  }
  return t;
}
