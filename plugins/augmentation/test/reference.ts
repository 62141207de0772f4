import type { Box, Flip, Offset } from '@espalier/plugin-augmentation';
import type { Images } from './support.js';

/** As numpy's pad: zeros, or mirrored without the border itself. */
function pad<T>(list: readonly T[], padding: number, mode: 'zero' | 'reflect', zero: T): T[] {
  const before = list.slice(1, padding + 1).reverse();
  const after = list.slice(0, -1).reverse().slice(0, padding);
  const zeros = new Array<T>(padding).fill(zero);
  return mode === 'zero' ? [...zeros, ...list, ...zeros] : [...before, ...list, ...after];
}

/** Pads in earnest and slices. */
export function slowCrop(
  images: Images,
  offsets: readonly Offset[],
  { padding, mode }: { padding: number; mode: 'zero' | 'reflect' },
): Images {
  return images.map((image, i) => {
    const [height, width] = [image.length, image[0]!.length];
    const nothing = image[0]![0]!.map(() => 0);
    const wide = image.map((row) => pad(row, padding, mode, nothing));
    const padded = pad(
      wide,
      padding,
      mode,
      wide[0]!.map(() => nothing),
    );
    const [top, left] = offsets[i]!;
    return padded.slice(top, top + height).map((row) => row.slice(left, left + width));
  });
}

export function slowFlip(images: Images, flips: readonly Flip[]): Images {
  return images.map((image, i) => {
    const rows = flips[i]!.vertical ? [...image].reverse() : image;
    return flips[i]!.horizontal ? rows.map((row) => [...row].reverse()) : rows;
  });
}

/** Overwrites pixel after pixel. */
export function slowPaste(
  images: Images,
  boxes: readonly Box[],
  source: (image: number, row: number, column: number) => number[],
): Images {
  const result = structuredClone(images);
  boxes.forEach(({ top, bottom, left, right }, i) => {
    for (let row = top; row < bottom; row++) {
      for (let column = left; column < right; column++) {
        result[i]![row]![column] = source(i, row, column);
      }
    }
  });
  return result;
}

/** share · a + (1 − share) · b through nested arrays. */
export function slowMix(a: unknown, b: unknown, share: number): unknown {
  if (typeof a === 'number') return share * a + (1 - share) * (b as number);
  return (a as unknown[]).map((each, i) => slowMix(each, (b as unknown[])[i], share));
}

/** −Σ q log p of one example. */
export function slowCrossEntropy(logits: readonly number[], q: readonly number[]): number {
  const norm = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
  return logits.reduce((sum, logit, k) => sum - q[k]! * (logit - norm), 0);
}

/** The largest difference of numbers in the same place of nested arrays. */
export function distance(a: unknown, b: unknown): number {
  const [x, y] = [[a].flat(Infinity), [b].flat(Infinity)] as [number[], number[]];
  if (x.length !== y.length) return Infinity;
  return x.reduce((most, value, i) => Math.max(most, Math.abs(value - y[i]!)), 0);
}
