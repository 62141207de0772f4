import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EspalierError } from '@espalier/base';
import { ResetAfterGRU } from '@espalier/formats';
import { readModelFolder, writeModelFolder } from '@espalier/formats/node';
import { disposeModel } from '@espalier/model';
import { onBackend, tensorsLeakedBy, tinyCnn } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

let dir: string;
beforeAll(() => onBackend('wasm'));
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'espalier-model-'));
});
afterEach(() => rm(dir, { recursive: true }));

const recurrent = () =>
  tfl.sequential({
    layers: [
      tfl.layers.embedding({ inputDim: 7, outputDim: 3 }),
      new ResetAfterGRU({ units: 4, returnSequences: true }),
      tfl.layers.lstm({ units: 4, recurrentActivation: 'sigmoid' }),
      tfl.layers.dense({ units: 2 }),
    ],
  });
const small = (value: number) =>
  tfl.sequential({
    layers: [
      tfl.layers.dense({
        units: 2,
        inputShape: [3],
        name: 'dense',
        kernelInitializer: tfl.initializers.constant({ value }),
      }),
    ],
  });

const valuesOf = (model: LayersModel) =>
  model.getWeights().map((weight) => [weight.shape, [...weight.dataSync()]]);

const classesOf = (model: LayersModel) => model.layers.map((layer) => layer.getClassName());

/** As Keras 3.3 writes it. */
const KERAS_3 = {
  class_name: 'Sequential',
  config: {
    name: 'sequential',
    layers: [
      {
        module: 'keras.layers',
        class_name: 'InputLayer',
        config: { batch_shape: [null, 3], dtype: 'float32', sparse: false, name: 'input_layer' },
        registered_name: null,
      },
      { class_name: 'Dense', config: { name: 'dense', units: 2 }, registered_name: null },
    ],
  },
};

type ModelJson = Record<string, unknown> & {
  weightsManifest: { paths: string[]; weights: Record<string, unknown>[] }[];
};
const readJson = async () =>
  JSON.parse(await readFile(join(dir, 'model.json'), 'utf8')) as ModelJson;
const writeJson = (json: unknown) => writeFile(join(dir, 'model.json'), JSON.stringify(json));
const rejection = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error) => error,
  );

test('weights with constraints are read bit for bit, and the constraints stay', async () => {
  const kernelConstraint = tfl.constraints.minMaxNorm({ maxValue: 0.5, rate: 0.1 });
  const layer = tfl.layers.dense({ units: 2, inputShape: [3], kernelConstraint });
  const model = tfl.sequential({ layers: [layer] });
  await writeModelFolder(model, dir);
  const read = await readModelFolder(dir);
  expect(valuesOf(read)).toEqual(valuesOf(model));
  expect(read.getConfig()).toEqual(model.getConfig());
  read.setWeights(model.getWeights());
  expect(valuesOf(read)).not.toEqual(valuesOf(model));
  [model, read].forEach(disposeModel);
});

test.each([
  ['a convolutional model', tinyCnn],
  ['a recurrent one', recurrent],
])('%s comes back bit for bit and computes the same', async (_name, make) => {
  const model = make();
  await writeModelFolder(model, dir);
  const loaded = await readModelFolder(dir);
  expect(valuesOf(loaded)).toEqual(valuesOf(model));
  expect(classesOf(loaded)).toEqual(classesOf(model));
  const x = tf.ones([2, ...model.inputs[0]!.shape.slice(1).map((n) => n ?? 5)]);
  const outputs = [model, loaded].map((each) => each.predict(x) as Tensor);
  expect(outputs[1]!.dataSync()).toEqual(outputs[0]!.dataSync());
  tf.dispose([x, outputs]);
  [model, loaded].forEach(disposeModel);
});

test('weights in several shards and groups, quantized too, are read', async () => {
  const model = small(1);
  const topology = model.toJSON(null, false);
  await Promise.all([
    writeFile(join(dir, 'a.bin'), Uint8Array.of(0, 1, 2)),
    writeFile(join(dir, 'b.bin'), Uint8Array.of(3, 4, 255)),
    writeFile(join(dir, 'c.bin'), new Uint8Array(Uint16Array.of(0x3c00, 0xc000).buffer)),
  ]);
  const eight = { dtype: 'uint8', scale: 0.5, min: -1 };
  const [kernel, bias] = [
    { name: 'dense/kernel', shape: [3, 2], dtype: 'float32', quantization: eight },
    { name: 'dense/bias', shape: [2], dtype: 'float32', quantization: { dtype: 'float16' } },
  ];
  await writeJson({
    format: 'layers-model',
    modelTopology: topology,
    weightsManifest: [
      { paths: ['a.bin', 'b.bin'], weights: [kernel] },
      { paths: ['c.bin'], weights: [bias] },
    ],
  });
  const loaded = await readModelFolder(dir);
  expect(valuesOf(loaded)).toEqual([
    [
      [3, 2],
      [-1, -0.5, 0, 0.5, 1, 126.5],
    ],
    [[2], [1, -2]],
  ]);
  [model, loaded].forEach(disposeModel);
});

describe('writing over a model', () => {
  test('leaves the new one alone', async () => {
    for (const value of [1, 2]) {
      const model = small(value);
      await writeModelFolder(model, dir);
      disposeModel(model);
    }
    expect(await readdir(dir)).toHaveLength(2);
    const loaded = await readModelFolder(dir);
    expect(valuesOf(loaded)[0]).toEqual([[3, 2], Array(6).fill(2)]);
    disposeModel(loaded);
  });

  test.each([0, 1])('leaves the old one when the disk is full at file %i', async (fails) => {
    const [old, next] = [small(1), small(2)];
    await writeModelFolder(old, dir);
    let written = 0;
    const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    const files = {
      write: async (file: { writeFile(bytes: Uint8Array): Promise<void> }, bytes: Uint8Array) => {
        if (written++ === fails) throw full;
        await file.writeFile(bytes);
      },
    };
    const error = await rejection(writeModelFolder(next, dir, { files }));
    expect(error).toBeInstanceOf(EspalierError);
    expect(error).toMatchObject({ code: 'model-folder/file' });
    const loaded = await readModelFolder(dir);
    expect(valuesOf(loaded)).toEqual(valuesOf(old));
    await writeModelFolder(next, dir);
    expect(await readdir(dir)).toHaveLength(2);
    [old, next, loaded].forEach(disposeModel);
  });

  test('is refused where another model.json is', async () => {
    await writeFile(join(dir, 'model.json'), '{"name": "package"}');
    const model = small(1);
    const error = await rejection(writeModelFolder(model, dir));
    expect(error).toMatchObject({ code: 'model-folder/occupied' });
    expect(await readdir(dir)).toEqual(['model.json']);
    disposeModel(model);
  });
});

describe('reading refuses', () => {
  beforeEach(async () => {
    const model = small(1);
    await writeModelFolder(model, dir);
    disposeModel(model);
  });

  const changed = (change: (json: ModelJson) => void) => async () => {
    const json = await readJson();
    change(json);
    await writeJson(json);
  };
  const group = (json: ModelJson) => json.weightsManifest[0]!;

  const layersIn = (json: ModelJson) =>
    (json['modelTopology'] as { config: { layers: { config: Record<string, unknown> }[] } }).config
      .layers;

  test.each<[string, () => Promise<unknown>, RegExp]>([
    ['no JSON', () => writeFile(join(dir, 'model.json'), '{'), /not JSON/],
    ['null', () => writeJson(null), /record|object/i],
    ['a GraphModel', () => writeJson({ format: 'graph-model' }), /GraphModel/],
    ['no topology', changed((json) => delete json['modelTopology']), /modelTopology/],
    ['a path out of the folder', changed((json) => (group(json).paths = ['../x'])), /plain file/],
    ['an absolute path', changed((json) => (group(json).paths = ['/etc/x'])), /plain file/],
    ['an unknown dtype', changed((json) => (group(json).weights[0]!['dtype'] = 'string')), /dtype/],
    [
      'a shape that lies',
      changed((json) => (group(json).weights[0]!['shape'] = [1e9, 1e6])),
      /shards have 32 bytes where/,
    ],
    ['a negative shape', changed((json) => (group(json).weights[0]!['shape'] = [-3, 2])), /shape/],
    [
      'a missing weight',
      changed((json) => {
        group(json).weights[1]!['name'] = 'other/bias';
      }),
      /other\/bias|dense\/bias/,
    ],
    [
      'nesting without end',
      () => writeFile(join(dir, 'model.json'), '{"a":'.repeat(5000) + '1' + '}'.repeat(5000)),
      /nested deeper than 100/,
    ],
    [
      'layers that ask for more numbers than there are',
      changed((json) => (layersIn(json)[0]!.config['units'] = 2 ** 40)),
      /more numbers than its shards have/,
    ],
    [
      'a weight of another shape',
      changed((json) => (layersIn(json)[0]!.config['units'] = 1)),
      /shape mismatch/i,
    ],
    [
      'layers of Keras 3',
      changed((json) => {
        json['modelTopology'] = { keras_version: '3.3.3', model_config: KERAS_3 };
      }),
      /written by Keras 3.*tf-keras/,
    ],
    [
      'a layer that nobody registered',
      changed((json) => {
        const text = JSON.stringify(json).replaceAll('"Dense"', '"Denser"');
        Object.assign(json, JSON.parse(text));
      }),
      /Denser/,
    ],
  ])('%s', async (_what, breakIt, message) => {
    await breakIt();
    let error: unknown;
    const leaked = await tensorsLeakedBy(async () => {
      error = await rejection(readModelFolder(dir));
    });
    expect(leaked).toBe(0);
    expect(error).toBeInstanceOf(EspalierError);
    expect(error).toMatchObject({
      code: 'model-folder/invalid',
      message: expect.stringMatching(message),
    });
  });

  /** Dense layers by name, and the layers that each of them is called with. */
  const graphOf = (...layers: readonly [name: string, ...inputs: unknown[]][]) => ({
    className: 'Model',
    config: {
      name: 'm',
      layers: [
        { name: 'x', className: 'InputLayer', config: { name: 'x', batchInputShape: [null, 3] } },
        ...layers.map(([name]) => ({ name, className: 'Dense', config: { name, units: 3 } })),
      ].map((entry, i) => ({ ...entry, inboundNodes: i === 0 ? [] : layers[i - 1]!.slice(1) })),
      inputLayers: [['x', 0, 0]],
      outputLayers: [[layers.at(-1)![0], 0, 0]],
    },
  });
  const call = (...names: string[]) => names.map((name) => [name, 0, 0]);

  test.each([
    ['a circle', graphOf(['a', call('b')], ['b', call('a')]), /'a', 'b' wait/],
    ['a layer behind itself', graphOf(['a', call('a')]), /'a' wait/],
    ['a layer that is not there', graphOf(['a', call('x', 'y')]), /'a' wait/],
    ['a call that is not there', graphOf(['a', [['x', 1, 0]]]), /one waits/],
    ['a call of nothing', graphOf(['a', []], ['b', call('a')]), /one waits/],
    ['a name twice', graphOf(['a', call('x')], ['a', call('x')]), /two are called 'a'/],
  ])('graphs with %s, also in a nested model', async (_what, modelTopology, message) => {
    const nested = graphOf(['n', call('x')]);
    Object.assign(nested.config.layers[1]!, modelTopology, {
      name: 'n',
      inboundNodes: [call('x')],
    });
    for (const topology of [modelTopology, nested]) {
      await writeJson({ ...(await readJson()), modelTopology: topology });
      let error: unknown;
      const leaked = await tensorsLeakedBy(async () => {
        error = await rejection(readModelFolder(dir));
      });
      expect(error).toMatchObject({ code: 'model-folder/invalid' });
      expect(error).toMatchObject({ message: expect.stringMatching(message) });
      expect(leaked).toBe(0);
    }
  });

  test('no byte order mark', async () => {
    await writeFile(join(dir, 'model.json'), `\uFEFF${JSON.stringify(await readJson())}`);
    disposeModel(await readModelFolder(dir));
  });

  test('shards that are cut short, or missing', async () => {
    const [shard] = group(await readJson()).paths;
    await writeFile(join(dir, shard!), new Uint8Array(31));
    expect(await rejection(readModelFolder(dir))).toMatchObject({
      code: 'model-folder/invalid',
      message: expect.stringMatching(/31 bytes where 32/),
    });
    await rm(join(dir, shard!));
    expect(await rejection(readModelFolder(dir))).toMatchObject({ code: 'model-folder/file' });
  });
});
