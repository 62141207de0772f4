import { disposeModel, plainModel, withoutConstraints } from '@espalier/model';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { Structure } from './structure/structure.js';

/** What to export. */
export interface ExportOptions {
  /** Outputs by name; default: the user's own. */
  readonly outputs?: readonly string[];
  /**
   * Decodes compressed layers: the model then has layers of TensorFlow.js in their place, and predicts
   * the same but for rounding.
   */
  readonly dense?: boolean;
  /**
   * False leaves the constraints of layers out, for `tf.loadLayersModel`, which would apply them to the
   * trained weights; default true, for training that goes on.
   */
  readonly constraints?: boolean;
}

/** A copy of the trained model, changed as the options demand. The caller owns it. */
export function exportModel(
  structure: Structure,
  { outputs, dense = false, constraints = true }: ExportOptions,
): LayersModel {
  const changes = [...(dense ? [plainModel] : []), ...(constraints ? [] : [withoutConstraints])];
  return changes.reduce(
    (model, change) => {
      try {
        return change(model);
      } finally {
        disposeModel(model);
      }
    },
    structure.copy(outputs ?? structure.ownOutputs),
  );
}
