import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { CLASSES } from './spirals.js';
import type { Points } from './spirals.js';

/** Places along each side for which the network is asked. */
const SIDE = 60;

/** Draws the points, and under them the class that the network gives to each place, if there is one. */
export async function drawMap(
  canvas: HTMLCanvasElement,
  points: Points,
  model?: LayersModel,
): Promise<void> {
  const regions = model && (await classify(model));
  const context = canvas.getContext('2d')!;
  const size = canvas.width;
  const colors = readColors();
  context.clearRect(0, 0, size, size);
  context.globalAlpha = 0.3;
  const cell = size / SIDE;
  regions?.forEach((of, i) => {
    context.fillStyle = colors[of]!;
    context.fillRect((i % SIDE) * cell, Math.floor(i / SIDE) * cell, cell, cell);
  });
  context.globalAlpha = 1;
  points.label.forEach((of, i) => {
    context.fillStyle = colors[of]!;
    const [x, y] = points.position.subarray(2 * i, 2 * i + 2);
    context.fill(makeMark(of, ((x! + 1) / 2) * size, ((y! + 1) / 2) * size, size / 100));
  });
}

/** Classes differ in shape too: a circle, a square, a triangle. */
function makeMark(of: number, x: number, y: number, radius: number): Path2D {
  const mark = new Path2D();
  if (of === 0) mark.arc(x, y, radius, 0, 2 * Math.PI);
  else if (of === 1) mark.rect(x - radius, y - radius, 2 * radius, 2 * radius);
  else {
    mark.moveTo(x, y - 1.4 * radius);
    mark.lineTo(x + 1.2 * radius, y + 0.8 * radius);
    mark.lineTo(x - 1.2 * radius, y + 0.8 * radius);
  }
  return mark;
}

/** The class of each place, row by row. */
async function classify(model: LayersModel): Promise<Int32Array> {
  const classes = tf.tidy(() => {
    const at = tf.linspace(-1, 1, SIDE);
    const [x, y] = tf.meshgrid(at, at) as [tf.Tensor, tf.Tensor];
    const places = tf.reshape(tf.stack([x, y], -1), [-1, 2]);
    return tf.argMax(model.predict(places) as tf.Tensor, -1);
  });
  const values = (await classes.data()) as Int32Array;
  classes.dispose();
  return values;
}

function readColors(): readonly string[] {
  const style = getComputedStyle(document.documentElement);
  return Array.from({ length: CLASSES }, (_, i) => style.getPropertyValue(`--series-${i}`));
}
