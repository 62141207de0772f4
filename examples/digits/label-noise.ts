import { keyedRng } from '@espalier/core';
import type { Digits } from './data.js';

const CLASSES = 10;

/** The same images, with that share of the labels drawn anew from all classes: a tenth of it hits the right one. */
export function withNoise({ x, y }: Digits, share: number, seed: number): Digits {
  const draw = keyedRng(seed, 'noise');
  const labels = Int32Array.from(y.data, (label) =>
    draw() < share ? Math.floor(draw() * CLASSES) : label,
  );
  return { x, y: { ...y, data: labels } };
}

/** Only the examples that `keep` chooses by label and place. */
export function only({ x, y }: Digits, keep: (label: number, i: number) => boolean): Digits {
  const places = [...y.data].flatMap((label, i) => (keep(label, i) ? [i] : []));
  const size = x.data.length / y.data.length;
  const data = new Float32Array(places.length * size);
  places.forEach((from, to) =>
    data.set(x.data.subarray(from * size, (from + 1) * size), to * size),
  );
  return {
    x: { data, shape: [places.length, ...x.shape.slice(1)] },
    y: { data: Int32Array.from(places, (i) => y.data[i]!), shape: [places.length] },
  };
}
