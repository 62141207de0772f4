import { decodeSafetensors } from '@espalier/checkpoint';
import { countBytes, packArtifact, unpackArtifact } from '@espalier/formats';
import type { ArtifactManifest } from '@espalier/formats';
import { appendLayers, disposeModel, extractGraph } from '@espalier/model';
import { backendsUnderTest, onBackend, tensorsLeakedBy, tinyCnn, tinyMlp } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { languageModel, shelfOf } from './models.js';
import type { Values } from './models.js';

type Files = ReadonlyMap<string, Uint8Array>;

const readFrom = (files: Files) => async (name: string) => {
  const bytes = files.get(name);
  if (!bytes) throw new Error(`no file ${name}`);
  return bytes;
};
const manifestOf = (files: Files) =>
  JSON.parse(new TextDecoder().decode(files.get('manifest.json'))) as ArtifactManifest;
const weightsOf = (files: Files) => files.get(manifestOf(files).weights.file)!;
const bits = (data: Values) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

function valuesOf(model: LayersModel): Record<string, { dtype: string; bits: Uint8Array }> {
  const entries = Object.entries(extractGraph(model).weights).map(([path, tensor]) => [
    path,
    { dtype: tensor.dtype, bits: bits(tensor.dataSync() as Values).slice() },
  ]);
  return Object.fromEntries(entries);
}

async function roundTrip(model: LayersModel) {
  const files = await packArtifact({ model });
  return { files, ...(await unpackArtifact(readFrom(files))) };
}

const float = fc.uint8Array({ minLength: 24, maxLength: 24 }).map((raw) => ({
  name: 'float',
  shape: [2, 3],
  dtype: 'float32' as const,
  data: new Float32Array(raw.slice().buffer),
}));
const whole = fc
  .tuple(fc.integer(), fc.integer())
  .chain(([a, b]) => fc.array(fc.integer({ min: Math.min(a, b), max: Math.max(a, b) })))
  .map((values) => ({
    name: 'whole',
    shape: [values.length],
    dtype: 'int32' as const,
    data: Int32Array.from(values),
  }));
const flag = fc.array(fc.nat(1)).map((values) => ({
  name: 'flag',
  shape: [values.length],
  dtype: 'bool' as const,
  data: Uint8Array.from(values),
}));

describe.each(backendsUnderTest())('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test.each([
    ['a dense model', tinyMlp],
    ['a convolutional one', tinyCnn],
    ['a recurrent one with two outputs and a frozen layer', languageModel],
  ])('%s comes back bit for bit and computes the same', async (_name, make) => {
    const model = make();
    const { model: loaded, manifest } = await roundTrip(model);
    expect(valuesOf(loaded)).toEqual(valuesOf(model));
    expect(extractGraph(loaded).topology).toEqual(extractGraph(model).topology);
    expect(manifest.topology).toEqual(extractGraph(model).topology);
    const x = tf.ones([2, ...model.inputs[0]!.shape.slice(1)] as number[]);
    const outputs = [model, loaded].map((each) => [each.predict(x)].flat());
    for (const [i, output] of outputs[0]!.entries()) {
      expect(outputs[1]![i]!.dataSync()).toEqual(output.dataSync());
    }
    tf.dispose([x, ...outputs.flat()]);
    [model, loaded].forEach(disposeModel);
  });

  test('any bits of any dtype come back, in no more bytes than int32 needs', () =>
    fc.assert(
      fc.asyncProperty(float, whole, flag, async (...weights) => {
        const model = shelfOf(weights);
        const { model: loaded, files } = await roundTrip(model);
        expect(valuesOf(loaded)).toEqual(valuesOf(model));
        const { data } = decodeSafetensors(weightsOf(files)).tensors.get('shelf/whole')!;
        expect(data.byteLength).toBeLessThanOrEqual(weights[1].data.byteLength);
        [model, loaded].forEach(disposeModel);
      }),
    ));

  test('loading leaves the model and nothing else, in 1.2 times the bytes of its file', async () => {
    const model = tfl.sequential({
      layers: [tfl.layers.dense({ units: 500, inputShape: [300] })],
    });
    const files = await packArtifact({ model });
    disposeModel(model);
    const before = tf.memory();
    const { model: loaded } = await unpackArtifact(readFrom(files));
    expect(tf.memory().numTensors - before.numTensors).toBe(loaded.weights.length);
    const numBytes = tf.memory().numBytes - before.numBytes;
    expect(numBytes).toBeGreaterThanOrEqual(300 * 500 * 4);
    expect(numBytes).toBeLessThanOrEqual(1.2 * weightsOf(files).length);
    disposeModel(loaded);
    expect(tf.memory().numTensors).toBe(before.numTensors);
  });
});

describe('integers are as narrow as their values', () => {
  test.each([
    ['U8', [0, 255]],
    ['I8', [-128, 127]],
    ['U16', [0, 65535]],
    ['I16', [-32768, 255]],
    ['U16', [0, 256]],
    ['I16', [-1, 128]],
    ['I32', [-1, 32768]],
    ['I32', [0, 65536]],
    ['I32', [-2147483648, 2147483647]],
  ])('%s for %j', async (dtype, values) => {
    const data = Int32Array.from(values);
    const model = shelfOf([{ name: 'codes', shape: [2], dtype: 'int32', data }]);
    const { files, model: loaded } = await roundTrip(model);
    expect(decodeSafetensors(weightsOf(files)).tensors.get('shelf/codes')!.dtype).toBe(dtype);
    expect(valuesOf(loaded)['shelf/codes']).toEqual({ dtype: 'int32', bits: bits(data) });
    [model, loaded].forEach(disposeModel);
  });
});

describe('packing', () => {
  test('equal content gives equal bytes, also after a load', async () => {
    const model = languageModel();
    const { files, model: loaded } = await roundTrip(model);
    expect(await packArtifact({ model })).toEqual(files);
    expect(await packArtifact({ model: loaded })).toEqual(files);
    [model, loaded].forEach(disposeModel);
  });

  test('what the caller gives comes back', async () => {
    const model = tinyMlp();
    const given = {
      edits: [{ plugin: 'p', phase: 'transform', outputs: ['logits'], detail: { a: [1] } }],
      plugins: [{ id: 'p', version: '1.0.0', options: { rank: 3 }, use: 'pkg#p', layers: ['A'] }],
      notes: { thresholds: [0.5, 1], words: ['the', 'of'] },
    } as const;
    const files = await packArtifact({ model, ...given, provenance: { preset: 'abc' } });
    const { manifest, model: loaded } = await unpackArtifact(readFrom(files));
    expect(manifest).toMatchObject({ ...given, provenance: { preset: 'abc' } });
    [model, loaded].forEach(disposeModel);
  });

  test('a graph can be packed; weights that it lacks get their initial values', async () => {
    const model = tinyMlp();
    const added = tfl.layers.dense({ units: 4, name: 'added' });
    const graph = appendLayers(extractGraph(model), {
      after: 'hidden',
      layers: [added],
      output: true,
    });
    const leaked = await tensorsLeakedBy(async () => {
      const files = await packArtifact({ model: graph });
      const { model: loaded } = await unpackArtifact(readFrom(files));
      expect(valuesOf(loaded)).toMatchObject(valuesOf(model));
      expect(Object.keys(valuesOf(loaded))).toContain('added/kernel');
      disposeModel(loaded);
    });
    expect(leaked).toBe(0);
    disposeModel(model);
  });

  test.each([
    [{ thresholds: [1n] }, 'json/not-json', /manifest\.notes\.thresholds\.0/],
    [{ when: new Date(0) }, 'json/not-json', /manifest\.notes\.when/],
    [{ a: { constructor: 1 } }, 'json/forbidden-key', /manifest\.notes\.a\.constructor/],
  ])('notes %o are refused by name', async (notes, code, message) => {
    const model = tinyMlp();
    const packed = packArtifact({ model, notes });
    await expect(packed).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    disposeModel(model);
  });

  test('what could not be read again is refused by name', async () => {
    const model = tinyMlp();
    const plugins = [{ id: 'p' }] as unknown as ArtifactManifest['plugins'];
    await expect(packArtifact({ model, plugins })).rejects.toMatchObject({
      code: 'artifact/content',
      message: expect.stringContaining("'plugins.0.version'"),
    });
    disposeModel(model);
  });

  test('every byte is counted once', async () => {
    const model = languageModel();
    const files = await packArtifact({ model, notes: { a: 1 } });
    const bytes = countBytes(files);
    const layers = Object.fromEntries(bytes.layers.map((each) => [each.layer, each.bytes]));
    expect(layers).toMatchObject({ embedding: 20 * 6 * 4, logits: (5 * 20 + 20) * 4 });
    const weights = Object.values(layers).reduce((a, b) => a + b, 0);
    expect(bytes.total).toBe(bytes.manifest + bytes.header + weights);
    expect(bytes.total).toBe([...files.values()].reduce((sum, { length }) => sum + length, 0));
    expect(bytes.layers.find(({ layer }) => layer === 'embedding')!.weights).toEqual([
      { name: 'embeddings', dtype: 'F32', shape: [20, 6], bytes: 480 },
    ]);
    disposeModel(model);
  });
});

test('a model that its configuration does not describe is refused, naming the layer', async () => {
  class Forgetful extends tfl.layers.Layer {
    static className = 'ArtifactTestForgetful';
    constructor(private readonly options: { factor?: number; name?: string }) {
      super(options);
    }
    override call(inputs: tf.Tensor[]): tf.Tensor {
      return tf.mul(inputs[0]!, this.options.factor ?? 1);
    }
  }
  tf.serialization.registerClass(Forgetful as never);
  const model = tfl.sequential({
    layers: [
      tfl.layers.inputLayer({ inputShape: [1] }),
      new Forgetful({ factor: 2, name: 'twice' }),
    ],
  });
  await expect(packArtifact({ model })).rejects.toThrow(/'twice' \(ArtifactTestF.*model\/rebuild/);
  model.dispose();
});

test('initializers are not asked for values that come from the file', async () => {
  class Unasked extends tfl.layers.Layer {
    static className = 'ArtifactTestUnasked';
    static asked = 0;
    override build(): void {
      const apply = (shape: number[]) => {
        Unasked.asked += 1;
        return tf.ones(shape);
      };
      const adds = this as unknown as { addWeight(...args: unknown[]): void };
      adds.addWeight('w', [2], 'float32', { apply });
      this.built = true;
    }
    override call(inputs: tf.Tensor[]): tf.Tensor {
      return tf.clone(inputs[0]!);
    }
  }
  tf.serialization.registerClass(Unasked);
  const model = tfl.sequential({
    layers: [tfl.layers.inputLayer({ inputShape: [1] }), new Unasked({})],
  });
  const files = await packArtifact({ model });
  Unasked.asked = 0;
  const { model: loaded } = await unpackArtifact(readFrom(files));
  expect(Unasked.asked).toBe(0);
  expect([...model.getWeights()[0]!.dataSync()]).toEqual([1, 1]);
  [model, loaded].forEach(disposeModel);
});
