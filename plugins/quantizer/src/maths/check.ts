import type { Matrix } from '@espalier/compression';
import { EspalierError } from '@espalier/core';
import { BITS } from './packing.js';

/** @throws EspalierError `quantizer/bits`. */
export function checkBits({ bits = 8 }: { readonly bits?: number | undefined }): void {
  if ((BITS as readonly number[]).includes(bits)) return;
  throw new EspalierError('quantizer/bits', {
    problem: `codes have ${BITS.join(', ')} bits`,
    received: bits,
    fix: 'Give one of these numbers. Without codes, keep the matrix as it is.',
  });
}

/** @throws EspalierError `quantizer/empty`; `quantizer/not-finite` naming row and column. */
export function checkFinite({ data, columns }: Matrix): void {
  if (data.length === 0) {
    throw new EspalierError('quantizer/empty', { problem: 'a matrix without numbers' });
  }
  const at = data.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  throw new EspalierError('quantizer/not-finite', {
    problem: `the number in row ${Math.floor(at / columns)}, column ${at % columns} is not finite`,
    received: data[at],
    fix: 'Quantize a model whose training has not diverged.',
  });
}

/**
 * The error of codes as it is.
 *
 * @throws EspalierError `quantizer/too-large` where it is not finite: the numbers are so large that sums of them, or
 * what codes stand for, are beyond float32.
 */
export function checkError(error: number): number {
  if (Number.isFinite(error)) return error;
  throw new EspalierError('quantizer/too-large', {
    problem:
      'the numbers of the matrix are near the largest of float32 (3.4e38), and their codes beyond it',
    fix: "Divide the matrix by a constant, which the layer can multiply by again, or try scheme: 'symmetric' and codebook: 'k-means'.",
  });
}
