import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';

/**
 * A model as data that a worker can send: topology and weights. The page loads it with
 * `tf.loadLayersModel(tf.io.fromMemory(artifacts))`. Layer classes that TensorFlow.js does not have must be
 * registered in the page, by an import of the package that defines them.
 *
 * @example
 * ```ts
 * const task = async ({ input }: TrainingContext<Input>) => {
 *   const model = await train(input);
 *   return { model: await getModelArtifacts(model) };
 * };
 * ```
 */
export async function getModelArtifacts(model: LayersModel): Promise<tf.io.ModelArtifacts> {
  let artifacts: tf.io.ModelArtifacts | undefined;
  await model.save(
    tf.io.withSaveHandler(async (saved) => {
      artifacts = saved;
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
    }),
  );
  return artifacts!;
}
