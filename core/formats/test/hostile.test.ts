import { canonicalJson, EspalierError, sha256Hex } from '@espalier/base';
import { encodeSafetensors } from '@espalier/checkpoint';
import type { HostTensor } from '@espalier/checkpoint';
import { packArtifact, unpackArtifact } from '@espalier/formats';
import { disposeModel } from '@espalier/model';
import { onBackend, tensorsLeakedBy, tinyMlp } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { languageModel } from './models.js';

type Files = Map<string, Uint8Array>;
type Json = Record<string, unknown>;
type Tensors = Record<string, HostTensor>;

let files: Files;
let manifest: Json;
beforeAll(async () => {
  await onBackend('cpu');
  const model = languageModel();
  files = await packArtifact({ model, plugins: [{ id: 'p', version: '1.0.0' }] });
  manifest = JSON.parse(new TextDecoder().decode(files.get('manifest.json'))) as Json;
  disposeModel(model);
});

const encoded = (text: string) => new TextEncoder().encode(text);
const f32 = (...shape: number[]): HostTensor => ({
  dtype: 'F32',
  shape,
  data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
});

/** A manifest whose hash is right whatever else is wrong. */
async function signed(content: Json): Promise<Uint8Array> {
  const provenance = { ...(content['provenance'] as Json), hash: undefined };
  const hash = await sha256Hex(encoded(canonicalJson({ ...content, provenance })));
  return encoded(JSON.stringify({ ...content, provenance: { ...provenance, hash } }));
}

/** An artifact with these tensors and this layer in place of its own; all hashes are right. */
async function forged(layer: { className: string; config: Json }, tensors: Tensors) {
  const model = tinyMlp();
  const sound = await packArtifact({
    model,
    plugins: [
      { id: 'other', version: '1.0.0', use: 'espalier-plugin-other#other', layers: ['Dense'] },
      { id: 'lacking', version: '2.0.0', use: 'espalier-plugin-lacking#it', layers: ['Lacking'] },
    ],
  });
  disposeModel(model);
  const content = JSON.parse(new TextDecoder().decode(sound.get('manifest.json'))) as Json;
  const { topology } = content as { topology: { config: { layers: Json[] } } };
  const last = topology.config.layers.at(-1)!;
  Object.assign(last, layer, { config: { ...(last['config'] as Json), ...layer.config } });
  const bytes = encodeSafetensors(
    Object.entries(tensors).map(([name, tensor]) => ({ name, ...tensor })),
  );
  const sha256 = await sha256Hex(bytes);
  const file = `weights-${sha256.slice(0, 16)}.safetensors`;
  const weights = { file, sha256, bytes: bytes.length };
  return new Map([
    ['manifest.json', await signed({ ...content, weights })],
    [file, bytes],
  ]);
}

const unpack = (given: Files) =>
  unpackArtifact(async (name) => given.get(name) ?? Promise.reject(new Error(`no file ${name}`)));

/** Loads it; whatever happens, errors must be ours and nothing may be left behind. */
async function outcomeOf(given: Files): Promise<unknown> {
  let outcome: unknown;
  const leaked = await tensorsLeakedBy(async () => {
    try {
      const { model } = await unpack(given);
      disposeModel(model);
    } catch (error) {
      outcome = error;
    }
  });
  expect(leaked).toBe(0);
  return outcome;
}

const withManifest = (bytes: Uint8Array): Files => new Map([...files, ['manifest.json', bytes]]);

async function expectRefusal(given: Files, code: string, message: RegExp): Promise<void> {
  const error = await outcomeOf(given);
  expect(error).toBeInstanceOf(EspalierError);
  expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
}

describe('a manifest', () => {
  test.each<[string, string, RegExp]>([
    ['', 'artifact/manifest', /not JSON/],
    ['[1', 'artifact/manifest', /not JSON/],
    ['null', 'artifact/manifest', /format is not/],
    ['{"format":"espalier-checkpoint"}', 'artifact/manifest', /espalier-checkpoint/],
    ['{"format":"espalier-artifact"}', 'artifact/manifest', /field 'version'/],
    ['{"format":"espalier-artifact","version":2}', 'artifact/newer-version', /version 2.*Update/],
    ['['.repeat(1e5) + ']'.repeat(1e5), 'artifact/manifest', /nested deeper than 100/],
  ])('that reads %.40s is refused', async (text, code, message) => {
    await expectRefusal(withManifest(encoded(text)), code, message);
  });

  test('that is no UTF-8 or beyond all measure is refused', async () => {
    const refused = (bytes: Uint8Array, message: RegExp) =>
      expectRefusal(withManifest(bytes), 'artifact/manifest', message);
    await refused(new Uint8Array([0x22, 0xff, 0x22]), /not JSON/);
    await refused(new Uint8Array(100_000_001), /100000001 bytes/);
  });

  test.each(['../weights.safetensors', '/etc/passwd', 'weights-0.safetensors', 'manifest.json'])(
    'that names the weights %s is refused, and nothing is read',
    async (file) => {
      const weights = { ...(manifest['weights'] as Json), file };
      const bytes = await signed({ ...manifest, weights });
      const asked: string[] = [];
      const loading = unpackArtifact(async (name) => {
        asked.push(name);
        return bytes;
      });
      await expect(loading).rejects.toMatchObject({
        code: 'artifact/manifest',
        message: expect.stringContaining("'weights.file'"),
      });
      expect(asked).toEqual(['manifest.json']);
    },
  );

  test('that was edited is refused', async () => {
    const text = JSON.stringify({ ...manifest, edits: [], notes: { a: 1 } });
    await expectRefusal(withManifest(encoded(text)), 'artifact/damaged', /manifest\.json/);
  });
});

describe('a graph', () => {
  type Layer = { name: string; config: Json; inboundNodes: unknown[][] };

  /** The manifest with other layers, and all hashes right. */
  async function withLayers(change: (layers: Layer[]) => void): Promise<Files> {
    const content = structuredClone(manifest) as { topology: { config: { layers: Layer[] } } };
    change(content.topology.config.layers);
    return withManifest(await signed(content));
  }

  test.each<[string, (layers: Layer[]) => void, RegExp]>([
    [
      'names layers twice',
      (layers) => layers.splice(1, 0, structuredClone(layers[1]!)),
      /two are called/,
    ],
    [
      'names them twice in their configurations',
      (layers) => (layers[2]!.config['name'] = layers[1]!.name),
      /two are called/,
    ],
    [
      'is a circle',
      (layers) => (layers[1]!.inboundNodes = [[[layers[2]!.name, 0, 0]]]),
      /depends on itself/,
    ],
    ['has calls of nothing', (layers) => (layers[1]!.inboundNodes = [[]]), /one waits/],
  ])('that %s is refused', async (_what, change, message) => {
    await expectRefusal(await withLayers(change), 'model/broken-graph', message);
  });
});

describe('weights', () => {
  const weightsFile = () => (manifest['weights'] as { file: string }).file;
  const withWeights = (bytes: Uint8Array): Files => new Map([...files, [weightsFile(), bytes]]);

  test('cut short or changed are refused', async () => {
    const bytes = files.get(weightsFile())!;
    await expectRefusal(withWeights(bytes.slice(0, -1)), 'artifact/damaged', /bytes where/);
    const changed = bytes.slice();
    changed[changed.length - 1]! ^= 1;
    await expectRefusal(withWeights(changed), 'artifact/damaged', /SHA-256/);
  });

  const logits = { className: 'Dense', config: {} };
  const hidden = { 'hidden/kernel': f32(6, 8), 'hidden/bias': f32(8) };
  const all = { ...hidden, 'logits/kernel': f32(8, 3), 'logits/bias': f32(3) };

  test('of the right names and shapes are taken', async () => {
    expect(await outcomeOf(await forged(logits, all))).toBeUndefined();
  });

  test.each<[string, Tensors, string, RegExp]>([
    [
      'missing',
      { ...hidden, 'logits/kernel': f32(8, 3), 'hidden/x': f32(3) },
      'model/unknown-weight',
      /hidden\/x/,
    ],
    ['too few', { ...hidden, 'logits/kernel': f32(8, 3) }, 'artifact/weights', /asks for more/],
    ['left over', { ...all, 'nowhere/w': f32(1) }, 'artifact/weights', /'nowhere\/w' is no weight/],
    [
      'in place of others',
      { ...hidden, 'logits/kernel': f32(8, 3), 'nowhere/w': f32(3) },
      'artifact/weights',
      /'logits\/bias' is missing/,
    ],
    [
      'of another shape',
      { ...all, 'logits/kernel': f32(3, 8) },
      'model/weight-shape',
      /logits\/kernel/,
    ],
    [
      'of an odd dtype',
      { ...all, 'logits/bias': { dtype: 'F64', shape: [3], data: new Float64Array(3) } },
      'artifact/dtype',
      /logits\/bias.*F64/,
    ],
    [
      'of another kind',
      { ...all, 'logits/bias': { dtype: 'I8', shape: [3], data: new Int8Array(3) } },
      'model/build',
      /int32/,
    ],
  ])('that are %s are refused', async (_what, tensors, code, message) => {
    await expectRefusal(await forged(logits, tensors), code, message);
  });

  test('are not allocated because a topology claims them', async () => {
    const huge = { className: 'Dense', config: { units: 2 ** 40 } };
    await expectRefusal(await forged(huge, all), 'artifact/weights', /more numbers than there are/);
  });
});

describe('a layer class', () => {
  test('that nobody registered: the plugin that brings it is named', async () => {
    const given = await forged({ className: 'Lacking', config: {} }, { x: f32(1) });
    await expectRefusal(
      given,
      'artifact/unknown-layer',
      /'logits' needs the class 'Lacking'.*Import espalier-plugin-lacking \(version 2\.0\.0\) before/,
    );
  });

  test.each(['toString', 'Zeros', '__proto__'])('named %s is refused', async (className) => {
    const error = await outcomeOf(await forged({ className, config: {} }, { x: f32(1) }));
    expect(error).toBeInstanceOf(EspalierError);
  });

  test('whose build throws leaves tfjs as it was', async () => {
    const { addWeight } = tfl.layers.Layer.prototype as unknown as { addWeight: unknown };
    await outcomeOf(await forged({ className: 'Dense', config: { units: -1 } }, { x: f32(1) }));
    expect(tfl.layers.Layer.prototype).toHaveProperty('addWeight', addWeight);
    const kernel = tf.tidy(() => {
      const dense = tfl.layers.dense({ units: 2, kernelInitializer: 'ones' });
      dense.apply(tf.ones([1, 2]));
      return [...dense.getWeights()[0]!.dataSync()];
    });
    expect(kernel).toEqual([1, 1, 1, 1]);
  });
});

describe('fuzzing', () => {
  test('any damage to any file is refused', () =>
    fc.assert(
      fc.asyncProperty(
        fc.nat(1),
        fc.nat(),
        fc.integer({ min: 0, max: 255 }),
        async (f, at, mask) => {
          const [name, bytes] = [...files][f]!;
          const place = at % bytes.length;
          const copy = mask === 0 ? bytes.slice(0, place) : bytes.slice();
          if (mask !== 0) copy[place]! ^= mask;
          expect(await outcomeOf(new Map([...files, [name, copy]]))).toBeInstanceOf(EspalierError);
        },
      ),
      { numRuns: 200 },
    ));

  test('any value at any place of a manifest with a right hash loads or is refused', () =>
    fc.assert(
      fc.asyncProperty(fc.infiniteStream(fc.nat()), odd, async (choices, value) => {
        const content = structuredClone(manifest);
        putSomewhere(content, value, choices);
        const bytes = await signed(content).catch(() => encoded('{}'));
        const outcome = await outcomeOf(withManifest(bytes));
        if (outcome !== undefined) expect(outcome).toBeInstanceOf(EspalierError);
      }),
      { numRuns: 300 },
    ));

  const odd = fc.oneof(
    fc.constantFrom(null, true, -1, 0, 0.5, 2 ** 31, 1e300, '', '..', 'Dense', 'LSTM', [], {}),
    fc.jsonValue({ maxDepth: 2 }),
  );

  /** Walks down by the choices and puts the value in place of what it comes to. */
  function putSomewhere(content: Json, value: unknown, choices: Iterator<number>): void {
    let parent: Json = content;
    for (;;) {
      const keys = Object.keys(parent);
      const key = keys[(choices.next().value as number) % keys.length]!;
      const child = parent[key];
      const isLeaf = typeof child !== 'object' || child === null || Object.keys(child).length === 0;
      if (isLeaf || (choices.next().value as number) % 5 === 0) {
        parent[key] = value;
        return;
      }
      parent = child as Json;
    }
  }
});
