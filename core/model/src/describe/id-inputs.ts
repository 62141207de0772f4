import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import { listCalls } from '../weights/parameters.js';
import type { Layer } from '../weights/parameters.js';

/** What an input holds that reaches embeddings unchanged. */
export interface IdInput {
  /** Ids are whole numbers from 0 to below this: rows of the smallest of those embeddings. */
  readonly rows: number;
  /** That embedding, by its own name. */
  readonly layer: string;
}

/** Layers that move numbers and change none. */
const MOVING = new Set([
  'Concatenate',
  'Cropping1D',
  'Flatten',
  'Permute',
  'RepeatVector',
  'Reshape',
]);

/** For each input of a model: what it holds, where that is ids. */
export function findIdInputs(model: LayersModel): readonly (IdInput | undefined)[] {
  const found: (IdInput | undefined)[] = model.inputs.map(() => undefined);
  const note = (tensor: SymbolicTensor, ids: IdInput): void => {
    const position = model.inputs.indexOf(tensor);
    if (position >= 0 && ids.rows < (found[position]?.rows ?? Infinity)) found[position] = ids;
    if (MOVING.has(tensor.sourceLayer.getClassName())) {
      tensor.inputs.forEach((input) => note(input, ids));
    }
  };
  for (const [layer, outputs] of listCalls(model)) {
    const taken = findIdLimit(layer);
    for (const { inputs } of outputs) {
      inputs.forEach((input, i) => taken[i] && note(input, taken[i]));
    }
  }
  return found;
}

/** What a layer takes, by the position of its inputs. */
function findIdLimit(layer: Layer): readonly (IdInput | undefined)[] {
  if (layer instanceof tfl.LayersModel) return findIdInputs(layer);
  const inner = layer.getClassName() === 'TimeDistributed' ? wrappedBy(layer) : layer;
  if (!/Embedding$/.test(inner.getClassName())) return []; // a layer of one's own may have no class name
  const rows = inner.getConfig()['inputDim'];
  return typeof rows === 'number' ? [{ rows, layer: layer.name }] : [];
}

function wrappedBy(layer: Layer): Layer {
  return (layer as Layer & { readonly layer: Layer }).layer;
}
