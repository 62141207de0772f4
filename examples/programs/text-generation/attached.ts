import { attach } from '@espalier/attach';
import { labelSmoothing } from '@espalier/preset-baselines';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

const TEXT = 'a tree bends as the sun turns and bears as it can. '.repeat(3);
const CHARACTERS = [...new Set(TEXT)].sort();
const LENGTH = 4;

const encode = (text: string) => [...text].map((character) => CHARACTERS.indexOf(character));

function createModel(): tfl.Sequential {
  const model = tfl.sequential();
  model.add(tfl.layers.lstm({ units: 20, inputShape: [LENGTH, CHARACTERS.length] }));
  model.add(tfl.layers.dense({ units: CHARACTERS.length, activation: 'softmax' }));
  return model;
}

/** Pieces of the text, one-hot, and the character that follows each. */
function examples() {
  const starts = Array.from({ length: TEXT.length - LENGTH }, (_, i) => i);
  const pieces = starts.map((at) => encode(TEXT.slice(at, at + LENGTH)));
  const next = starts.flatMap((at) => encode(TEXT[at + LENGTH]!));
  const oneHot = (ids: number[] | number[][]) =>
    tf.oneHot(tf.tensor(ids, undefined, 'int32'), CHARACTERS.length);
  return { xs: oneHot(pieces), ys: oneHot(next) };
}

/** Continues `seed` by the most probable characters. */
function generate(model: tfl.LayersModel, seed: string, length: number): string {
  let text = seed;
  while (text.length < seed.length + length) {
    const id = tf.tidy(() => {
      const piece = tf.tensor2d([encode(text.slice(-LENGTH))], undefined, 'int32');
      const [probabilities] = [model.predict(tf.oneHot(piece, CHARACTERS.length))].flat();
      return tf.argMax(probabilities!, -1).dataSync()[0]!;
    });
    text += CHARACTERS[id];
  }
  return text;
}

/** Text by a loop of fits of one epoch, with a sample of the model between them. */
export async function run() {
  const { xs, ys } = examples();
  const losses: number[] = [];
  const samples: string[] = [];

  const model = createModel();
  model.compile({ optimizer: tf.train.rmsprop(0.03), loss: 'categoricalCrossentropy' });
  await attach(model, labelSmoothing());
  for (let round = 0; round < 6; round++) {
    const { history } = await model.fit(xs, ys, { epochs: 1, batchSize: 12 });
    losses.push(history['loss']![0] as number);
    samples.push(generate(model, TEXT.slice(0, LENGTH), 12));
  }

  const last = samples.at(-1)!;
  const right = [...last].filter((character, i) => character === TEXT[i]).length;
  return { losses, samples: new Set(samples).size, right: right / last.length };
}
