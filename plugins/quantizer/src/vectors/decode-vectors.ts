import { placePlanes, unpackInto } from '../maths/packing.js';
import type { VectorFormat } from './layout.js';

/**
 * Decodes rows by number into `target` `[ids.length, columns]`, reading only their words: for every code, its
 * entry of the codebook is added to the columns of its piece, in float32.
 */
export function decodeVectors(
  target: Float32Array,
  words: Int32Array,
  codebook: Float32Array,
  { bits, rows, columns, pieces }: VectorFormat,
  ids: ArrayLike<number>,
): void {
  const planes = placePlanes(bits, rows * pieces.length);
  const codes = new Uint8Array(pieces.length);
  target.fill(0);
  for (let i = 0; i < ids.length; i++) {
    unpackInto(codes, words, planes, ids[i]! * pieces.length, pieces.length);
    for (let p = 0; p < pieces.length; p++) {
      const { from, width, table } = pieces[p]!;
      let at = table + codes[p]! * width;
      for (let to = i * columns + from, end = to + width; to < end; to++) {
        target[to]! += codebook[at++]!;
      }
    }
  }
}

/**
 * The transpose of {@link decodeVectors}, which is linear in the codebook: adds each row of `values`
 * `[ids.length, columns]` to the entries that its codes name. It gives the gradient of the codebook.
 */
export function spreadToCodebook(
  codebook: Float32Array,
  words: Int32Array,
  values: Float32Array,
  { bits, rows, columns, pieces }: VectorFormat,
  ids: ArrayLike<number>,
): void {
  const planes = placePlanes(bits, rows * pieces.length);
  const codes = new Uint8Array(pieces.length);
  codebook.fill(0);
  for (let i = 0; i < ids.length; i++) {
    unpackInto(codes, words, planes, ids[i]! * pieces.length, pieces.length);
    for (let p = 0; p < pieces.length; p++) {
      const { from, width, table } = pieces[p]!;
      let at = table + codes[p]! * width;
      for (let to = i * columns + from, end = to + width; to < end; to++) {
        codebook[at++]! += values[to]!;
      }
    }
  }
}
