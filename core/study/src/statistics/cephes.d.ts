/** The used part of cephes, whose own types do not resolve from its `exports`. */
declare module 'cephes' {
  export const compiled: Promise<void>;
  /** log |Γ(x)|. */
  export function lgam(x: number): number;
  export function ndtr(z: number): number;
  export function ndtri(p: number): number;
  export function stdtr(df: number, t: number): number;
  export function stdtri(df: number, p: number): number;
}
