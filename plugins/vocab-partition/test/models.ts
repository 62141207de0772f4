import { arraySource } from '@espalier/core';
import type { Source } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';

/** Words of {@link tinyWords}. */
export const WORDS = 7;

const Embedding = tfl.layers.embedding({ inputDim: 1, outputDim: 1 }).constructor as {
  new (...args: Parameters<typeof tfl.layers.embedding>): ReturnType<typeof tfl.layers.embedding>;
} & Pick<typeof tfl.layers.Layer, 'fromConfig'>;

/** An embedding that takes any numbers for ids, as one check of the kit feeds them. */
class WrappingEmbedding extends Embedding {
  static className = 'WrappingEmbedding';

  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: object): tf.Tensor | tf.Tensor[] {
    return tf.tidy(() => {
      const [ids] = [inputs].flat();
      return super.call(tf.mod(tf.cast(ids!, 'int32'), tf.scalar(WORDS, 'int32')), kwargs);
    });
  }
}
tf.serialization.registerClass(WrappingEmbedding);

/** As {@link wordModel}, with ids that wrap around. */
export function wrappingWordModel(): LayersModel {
  return wordModel(new WrappingEmbedding({ name: 'words', inputDim: WORDS, outputDim: 4 }));
}

/** Three word ids → embedding → 3 logits. */
export function wordModel(
  embedding = tfl.layers.embedding({ name: 'words', inputDim: WORDS, outputDim: 4 }),
): LayersModel {
  const tokens = tfl.input({ shape: [3], name: 'tokens', dtype: 'int32' });
  const embedded = embedding.apply(tokens);
  const flat = tfl.layers.flatten({ name: 'flat' }).apply(embedded);
  const logits = tfl.layers.dense({ name: 'logits', units: 3 }).apply(flat);
  return tfl.model({ inputs: tokens, outputs: logits as tfl.SymbolicTensor });
}

/** Ids 0 to 5 of the seven words, three an example. */
export const IDS = Int32Array.from({ length: 48 }, (_, i) => Math.floor(((i * i) % 13) / 2) % 6);
const LABELS = Int32Array.from({ length: 16 }, (_, i) => i % 3);

/** How often each word is in {@link IDS}. */
export function countsOf(ids: ArrayLike<number>): number[] {
  const counts = Array.from({ length: WORDS }, () => 0);
  Array.from(ids).forEach((id) => counts[id]!++);
  return counts;
}

/** {@link IDS} in shuffled batches of 4. */
export function tinyWords(ids: Int32Array | Float32Array = IDS): Source {
  return arraySource({
    x: { data: ids, shape: [16, 3] },
    y: { data: LABELS, shape: [16] },
    batchSize: 4,
  });
}
