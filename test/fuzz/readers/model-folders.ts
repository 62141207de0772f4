import { readModelFolder } from '@espalier/formats/node';
import { disposeModel } from '@espalier/model';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { Reader, Sample } from '../reader.js';
import { damageJsonOrBytes } from './configurations.js';
import { makeModel, makeSequential, saveModel } from './models.js';
import { json } from './text.js';

const FILE = 'model.json';

async function makeSample(name: string, model: LayersModel): Promise<Sample> {
  const { modelTopology, weightSpecs, weightData } = await saveModel(model);
  disposeModel(model);
  const weightsManifest = [{ paths: ['a.bin'], weights: weightSpecs }];
  const bytes = new Uint8Array(tf.io.CompositeArrayBuffer.join(weightData));
  const files = { [FILE]: json({ modelTopology, weightsManifest }), 'a.bin': bytes };
  return { name, files, open: '.' };
}

/** Dense layers, each with the calls of its name. */
function makeGraph(name: string, calls: Readonly<Record<string, unknown>>): Sample {
  const layers = Object.entries(calls).map(([layer, inboundNodes]) => ({
    name: layer,
    className: layer === 'x' ? 'InputLayer' : 'Dense',
    config: { name: layer, ...(layer === 'x' ? { batchInputShape: [null, 2] } : { units: 2 }) },
    inboundNodes,
  }));
  const config = { name: 'm', layers, inputLayers: [['x', 0, 0]], outputLayers: [['a', 0, 0]] };
  const model = { modelTopology: { className: 'Model', config }, weightsManifest: [] };
  return { name, files: { [FILE]: json(model) }, open: '.' };
}

export async function makeModelFolders(): Promise<Reader> {
  return {
    name: 'model-folders',
    samples: [
      await makeSample('a graph', makeModel()),
      await makeSample('a row', makeSequential()),
    ],
    found: [
      makeGraph('a circle', { x: [], a: [[['b', 0, 0]]], b: [[['a', 0, 0]]] }),
      makeGraph('a call of nothing', { x: [], a: [[['b', 0, 0]]], b: [[]] }),
      makeGraph('a call that is not there', { x: [], a: [[['x', 3, 0]]] }),
    ],
    damage: damageJsonOrBytes(FILE),
    read: async (folder) => disposeModel(await readModelFolder(folder)),
  };
}
