import { writeElements } from '@espalier/backend';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { placePlanes, unpackInto } from '../maths/packing.js';
import type { VectorFormat } from '../vectors/layout.js';
import { decodeRowsOfVectors, spreadToCodes } from './vector-kernels.js';

/** What steps take on wasm, in nanoseconds, as measured: to choose the faster way. */
const COST = { lookUp: 5, decodeNumber: 3, decodePiece: 7, multiply: 0.1 };

/**
 * Whether tables of products give the scores of `queries` rows sooner than decoding: with few queries
 * and few codes a row. Elsewhere than on cpu and wasm never.
 */
export function paysToTabulate(queries: number, { pieces, columns }: VectorFormat): boolean {
  if (!['cpu', 'wasm'].includes(tf.getBackend())) return false;
  const numbers = pieces.reduce((sum, { width }) => sum + width, 0);
  const decoding = numbers * COST.decodeNumber + pieces.length * COST.decodePiece;
  return queries * pieces.length * COST.lookUp < decoding + queries * columns * COST.multiply;
}

/**
 * Products of each `x` `[n, columns]` with each coded row: `[n, rows]`. For each piece a table of its products
 * with all entries; a score is the sum of the entries that the row's codes name (asymmetric distance
 * computation, Jégou et al. 2011). No row is decoded, except for gradients.
 */
export function scoreByTables(
  codes: Tensor,
  codebook: Tensor,
  x: Tensor2D,
  format: VectorFormat,
): Tensor2D {
  const op = tf.customGrad((...args) => {
    const [states, book, save] = args as unknown as [Tensor2D, Tensor1D, tf.GradSaveFunc];
    save([states, book]);
    return {
      value: tf.tidy(() => sumTables(codes, makeTables(states, book, format), format)),
      gradFunc: (dy, saved) => {
        const [before, entries] = saved as [Tensor2D, Tensor1D];
        const rows = tf.range(0, format.rows, 1, 'int32');
        const decoded = decodeRowsOfVectors(codes, entries, rows, format);
        const forRows = tf.matMul<Tensor2D>(dy as Tensor2D, before, true);
        return [tf.matMul(dy as Tensor2D, decoded), spreadToCodes(codes, forRows, rows, format)];
      },
    };
  });
  return op(x, codebook) as Tensor2D;
}

/** `[n, pieces · 2^bits]`. */
function makeTables(x: Tensor2D, codebook: Tensor1D, { bits, pieces }: VectorFormat): Tensor2D {
  const size = 2 ** bits;
  const parts = pieces.map(({ from, width, table }) => {
    const entries = tf.reshape(tf.slice1d(codebook, table, size * width), [size, width]);
    const own = tf.slice2d(x, [0, from], [x.shape[0], width]);
    return tf.matMul<Tensor2D>(own, entries as Tensor2D, false, true);
  });
  return parts.length === 1 ? parts[0]! : tf.concat2d(parts, 1);
}

function sumTables(codes: Tensor, tables: Tensor2D, { bits, rows, pieces }: VectorFormat): Tensor {
  const [queries, size, count] = [tables.shape[0], 2 ** bits, pieces.length];
  const planes = placePlanes(bits, rows * count);
  const own = new Uint8Array(count);
  const shape = [queries, rows];
  return writeElements(tf.backend(), 'float32', shape, [tables, codes], (scores, values, words) => {
    for (let row = 0; row < rows; row++) {
      unpackInto(own, words as Int32Array, planes, row * count, count);
      for (let q = 0; q < queries; q++) {
        let sum = 0;
        for (let p = 0, at = q * count * size; p < count; p++, at += size) {
          sum += values[at + own[p]!]!;
        }
        scores[q * rows + row] = sum;
      }
    }
  });
}
