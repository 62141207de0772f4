import {
  decodeSafetensors,
  encodeSafetensors,
  packCheckpoint,
  readTensors,
  toTensor,
  unpackCheckpoint,
} from '@espalier/checkpoint';
import type { Checkpoint } from '@espalier/checkpoint';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import fc from 'fast-check';
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { broken, bytesOf, tensorMap } from './arbitraries.js';

const tensors = new Map([
  ['w', { dtype: 'F32', shape: [3], data: new Float32Array([1, NaN, -0]) } as const],
  ['n', { dtype: 'I32', shape: [], data: new Int32Array([7]) } as const],
]);
const manifest = { clock: { step: 3 }, text: 'größe "x"' };

afterEach(() => void vi.unstubAllGlobals());

describe('a packed checkpoint', () => {
  test('comes back as it was', async () => {
    await fc.assert(
      fc.asyncProperty(tensorMap, fc.jsonValue(), async (any, json) => {
        const back = await unpackCheckpoint(
          await packCheckpoint({ manifest: json, tensors: any }),
          'it',
        );
        expect(back.manifest).toEqual(JSON.parse(JSON.stringify(json)));
        const raw = (map: Checkpoint['tensors']) =>
          [...map].map(([name, t]) => [name, t.shape, bytesOf(t)]);
        expect(new Map(raw(back.tensors).map((r) => [r[0], r]))).toEqual(
          new Map(raw(any).map((r) => [r[0], r])),
        );
      }),
      { seed: 3 },
    );
  });

  test('is an ordinary safetensors file', async () => {
    const file = decodeSafetensors(await packCheckpoint({ manifest, tensors }));
    expect(file.metadata).toMatchObject({ format: 'espalier-checkpoint', formatVersion: '1' });
    expect(JSON.parse(file.metadata['manifest']!)).toEqual(manifest);
    expect(file.tensors.get('n')!.data).toEqual(new Int32Array([7]));
  });

  test('is caught with any single byte changed', async () => {
    const file = await packCheckpoint({ manifest, tensors });
    for (let at = 0; at < file.length; at++) {
      const bad = file.slice();
      bad[at]! ^= 1 << (at % 8);
      await expect(unpackCheckpoint(bad, 'it'), `byte ${at}`).rejects.toMatchObject({
        code: 'checkpoint/damaged',
      });
    }
  });

  test('is caught cut short anywhere', async () => {
    const file = await packCheckpoint({ manifest, tensors });
    for (let length = 0; length < file.length; length++) {
      await expect(unpackCheckpoint(file.slice(0, length), 'it')).rejects.toMatchObject({
        code: 'checkpoint/damaged',
      });
    }
  });

  test('is caught broken in any way', async () => {
    const file = await packCheckpoint({ manifest, tensors });
    await fc.assert(
      fc.asyncProperty(broken(file), async (bad) => {
        await expect(unpackCheckpoint(bad, 'it')).rejects.toMatchObject({
          code: 'checkpoint/damaged',
        });
      }),
      { seed: 4, numRuns: 1000 },
    );
  });

  test('says which one is damaged and what to do', async () => {
    const file = await packCheckpoint({ manifest, tensors });
    await expect(unpackCheckpoint(file.slice(0, -1), 'runs/a/step-3')).rejects.toThrow(
      /checkpoint runs\/a\/step-3 is damaged: its SHA-256 does not match.*Resume from an older one/,
    );
  });

  /** A file with a true checksum and whatever other metadata. */
  const sealed = async (metadata: Record<string, string>) => {
    const file = encodeSafetensors([], { sha256: '0'.repeat(64), ...metadata });
    const at = Buffer.from(file).indexOf('0'.repeat(64));
    const hash = await crypto.subtle.digest('SHA-256', file.slice(at + 64));
    file.set(Buffer.from(Buffer.from(hash).toString('hex')), at);
    return file;
  };

  test('of a later format is refused, with what to do', async () => {
    const file = await sealed({ formatVersion: '2' });
    await expect(unpackCheckpoint(file, 'it')).rejects.toThrow(
      /it has checkpoint format 2; this release reads up to 1.*Update/,
    );
  });

  test.each<Record<string, string>>([{}, { formatVersion: '1', manifest: '{' }])(
    'without a readable manifest is damaged: %j',
    async (metadata) => {
      const reading = unpackCheckpoint(await sealed(metadata), 'it');
      await expect(reading).rejects.toMatchObject({
        code: 'checkpoint/damaged',
        message: expect.stringContaining('JSON'),
      });
    },
  );

  test('needs WebCrypto, and says so', async () => {
    vi.stubGlobal('crypto', undefined);
    await expect(packCheckpoint({ manifest, tensors })).rejects.toThrow(/https or localhost/);
  });
});

describe('tensors', () => {
  beforeAll(() => tf.setBackend('cpu'));

  test('come back with dtype, shape and bits, and nothing leaks', async () => {
    const before = tf.memory().numTensors;
    const originals = {
      f: tf.tensor2d([[1.5, NaN, -Infinity]]),
      i: tf.scalar(-7, 'int32'),
      b: tf.tensor1d([true, false], 'bool'),
      none: tf.zeros([0, 3]),
    };
    const read = await readTensors(originals);
    const { tensors: back } = await unpackCheckpoint(
      await packCheckpoint({ manifest: null, tensors: read }),
      'it',
    );
    const restored = [...back].map(([name, entry]) => [name, toTensor(entry)] as const);
    for (const [name, tensor] of restored) {
      const original = originals[name as keyof typeof originals];
      expect([tensor.dtype, tensor.shape]).toEqual([original.dtype, original.shape]);
      expect(tensor.dataSync()).toEqual(original.dataSync());
      tensor.dispose();
    }
    tf.dispose(originals);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('made from a file do not share its memory', () => {
    const data = new Float32Array([1, 2]);
    const tensor = toTensor({ dtype: 'F32', shape: [2], data });
    data[0] = 9;
    expect([...tensor.dataSync()]).toEqual([1, 2]);
    tensor.dispose();
  });

  test.each([
    ['complex64', () => tf.complex([1], [2])],
    ['string', () => tf.tensor(['a'])],
  ])('of dtype %s are refused by name', async (dtype, make) => {
    const tensor = make();
    await expect(readTensors({ odd: tensor })).rejects.toThrow(`tensor 'odd' is ${dtype}`);
    tensor.dispose();
  });

  test('of a type that TensorFlow.js lacks are refused', () => {
    const half = { dtype: 'F16', shape: [1], data: new Uint16Array(1) } as const;
    expect(() => toTensor(half)).toThrow(/is F16.*float32, int32 and bool/);
  });
});
