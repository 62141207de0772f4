import { keyedRng } from '@espalier/core';

/** Number of classes, one spiral each. */
export const CLASSES = 3;

/** Points of the plane with their class, as typed arrays that a page can send to a worker. */
export interface Points {
  /** x and y of each point, from −1 to 1. */
  readonly position: Float32Array;
  readonly label: Int32Array;
}

/** Points on noisy spirals, in random order; the same ones in every visit. */
export function makeSpirals(pointsPerClass: number): Points {
  const rng = keyedRng(1, 'spirals');
  const order = rng.permutation(CLASSES * pointsPerClass);
  const position = new Float32Array(2 * order.length);
  const label = new Int32Array(order.length);
  order.forEach((n, place) => {
    const [along, of] = [Math.floor(n / CLASSES) / pointsPerClass, n % CLASSES];
    const angle = (of * 2 * Math.PI) / CLASSES + 4.5 * along + 0.35 * (rng() - 0.5);
    const radius = 0.06 + 0.88 * along;
    position.set([radius * Math.cos(angle), radius * Math.sin(angle)], 2 * place);
    label[place] = of;
  });
  return { position, label };
}
