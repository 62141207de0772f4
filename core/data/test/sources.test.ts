import { keyedRng } from '@espalier/base';
import type { NamedTensors } from '@espalier/base';
import { arraySource, datasetSource, disposeRaw, iterableSource } from '@espalier/data';
import type { ArraySourceOptions, RawBatch, Source } from '@espalier/data';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it, test } from 'vitest';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const x = { data: Float32Array.from({ length: 10 }, (_, i) => i), shape: [5, 2] };
const y = { data: Int32Array.of(0, 1, 2, 3, 4), shape: [5] };
const code = (expected: string) => expect.objectContaining({ code: expected });

/** The batches of one epoch on the host; `read` says which numbers of each. */
async function epochOf<T>(
  source: Source,
  read: (batch: RawBatch) => T,
  { epoch = 0, skip = 0 } = {},
): Promise<T[]> {
  const found: T[] = [];
  for await (const batch of source.iterate({ epoch, skip, stream: keyedRng(0, 'order', epoch) })) {
    found.push(read(batch));
    disposeRaw(batch);
  }
  return found;
}

const numbers = (tensor: unknown) => Array.from((tensor as tf.Tensor).dataSync());
const targets = ({ y: given }: RawBatch) => numbers(given);

describe('arraySource', () => {
  it('gives rows of inputs and targets together, each once an epoch, the rest in the last batch', async () => {
    const source = arraySource({ x, y, batchSize: 2 });
    const before = tf.memory().numTensors;
    const batches = await epochOf(source, ({ x: inputs, y: ids }) => {
      const { shape, dtype } = inputs as tf.Tensor;
      return {
        shape,
        dtype,
        ids: numbers(ids),
        first: numbers(tf.tidy(() => tf.max(inputs as tf.Tensor, 1))),
      };
    });
    expect(tf.memory().numTensors - before).toBe(3);
    expect(source.batchesPerEpoch).toBe(3);
    expect(batches.map(({ shape }) => shape)).toEqual([
      [2, 2],
      [2, 2],
      [1, 2],
    ]);
    expect(batches[0]!.dtype).toBe('float32');
    for (const { ids, first } of batches) expect(first).toEqual(ids.map((id) => 2 * id + 1));
    expect(batches.flatMap(({ ids }) => ids).sort()).toEqual([0, 1, 2, 3, 4]);
  });

  it('orders an epoch by its stream: the same again, another in the next epoch, none unshuffled', async () => {
    const source = arraySource({ x, y, batchSize: 5 });
    const [first, again, next] = [
      await epochOf(source, targets),
      await epochOf(source, targets),
      await epochOf(source, targets, { epoch: 1 }),
    ];
    expect(again).toEqual(first);
    expect(next).not.toEqual(first);
    const plain = arraySource({ x, y, batchSize: 5, shuffle: false });
    expect(await epochOf(plain, targets)).toEqual([[0, 1, 2, 3, 4]]);
  });

  it('goes on after the batches that were seen', async () => {
    const source = arraySource({ x, y, batchSize: 2 });
    const all = await epochOf(source, targets);
    for (const skip of [1, 2, 3]) {
      expect(await epochOf(source, targets, { skip })).toEqual(all.slice(skip));
    }
  });

  it('takes several arrays by name, weights, and bytes as integers', async () => {
    const bytes = { data: Uint8Array.of(7, 8), shape: [2, 1] };
    const source = arraySource({
      x: { image: bytes, mask: { ...bytes, shape: [2] } },
      y: { data: Float32Array.of(1, 2), shape: [2] },
      weights: Float32Array.of(0, 3),
      batchSize: 2,
      shuffle: false,
    });
    const [batch] = await epochOf(source, ({ x: inputs, y: values, weights }) => ({
      names: Object.entries(inputs as NamedTensors).map(([name, { shape, dtype }]) => [
        name,
        shape,
        dtype,
      ]),
      values: (values as tf.Tensor).dtype,
      weights: numbers(weights),
    }));
    expect(batch).toEqual({
      names: [
        ['image', [2, 1], 'int32'],
        ['mask', [2], 'int32'],
      ],
      values: 'float32',
      weights: [0, 3],
    });
  });

  it('has a fingerprint that changes with values, shapes, names and types', async () => {
    const base = { x, y, batchSize: 2 };
    const others: readonly ArraySourceOptions[] = [
      { ...base, x: { ...x, data: x.data.map((value) => value + 1) } },
      { ...base, x: { ...x, shape: [5, 1, 2] } },
      { ...base, x: { image: x } },
      { ...base, y: { ...y, data: Float32Array.from(y.data) } },
      { ...base, weights: new Float32Array(5) },
    ];
    const all = await Promise.all(others.map((each) => arraySource(each).fingerprint()));
    const first = await arraySource(base).fingerprint();
    expect(new Set([first, ...all]).size).toBe(others.length + 1);
    expect(await arraySource({ ...base, batchSize: 5, shuffle: false }).fingerprint()).toBe(first);
  });

  test.each<[string, object, RegExp]>([
    ['option', { batchsize: 2 }, /Did you mean 'batchSize'/],
    ['batch-size', { batchSize: 0 }, /positive integer/],
    ['array', { x: { data: [1, 2], shape: [2] } }, /x must be a tensor, or \{ data, shape \}/],
    ['array', { x: undefined }, /x must be/],
    ['shape', { x: { ...x, shape: [5, 3] } }, /10 values do not fill the shape/],
    ['length', { y: { data: Int32Array.of(1), shape: [1] } }, /y has 1 examples, x has 5/],
    ['empty', { x: { data: new Float32Array(0), shape: [0, 2] }, y: undefined }, /no examples/],
  ])('refuses with source/%s: %o', (what, change, says) => {
    const make = () => arraySource({ x, y, batchSize: 2, ...change });
    expect(make).toThrow(code(`source/${what}`));
    expect(make).toThrow(says);
  });
});

describe('arraySource of tensors', () => {
  const given = () => ({
    x: { image: tf.tensor2d(x.data, [5, 2]), mask: tf.tensor1d([1, 0, 1, 0, 1], 'bool') },
    y: tf.tensor1d(y.data, 'int32'),
    weights: tf.tensor1d([1, 2, 3, 4, 5]),
  });
  const onHost = {
    x: { image: x, mask: { data: Uint8Array.of(1, 0, 1, 0, 1), shape: [5] } },
    y,
    weights: Float32Array.of(1, 2, 3, 4, 5),
  };
  const read = ({ x: inputs, y: ids, weights }: RawBatch) => ({
    inputs: Object.entries(inputs as NamedTensors).map(([name, t]) => [
      name,
      t.shape,
      t.dtype,
      numbers(t),
    ]),
    ids: [(ids as tf.Tensor).dtype, numbers(ids)],
    weights: numbers(weights),
  });

  it('gives the batches and the fingerprint of the same values on the host, and keeps the tensors', async () => {
    const tensors = given();
    const source = arraySource({ ...tensors, batchSize: 2 });
    const before = tf.memory().numTensors;
    const batches = await epochOf(source, read);
    expect(tf.memory().numTensors).toBe(before);
    expect(batches).toEqual(await epochOf(arraySource({ ...onHost, batchSize: 2 }), read));
    expect(await source.fingerprint()).toBe(
      await arraySource({ ...onHost, batchSize: 2 }).fingerprint(),
    );
    tf.dispose([...Object.values(tensors.x), tensors.y, tensors.weights]);
  });

  it('reads the values once', async () => {
    const tensor = tf.tensor1d([1, 2]);
    let reads = 0;
    const data = tensor.data.bind(tensor);
    Object.assign(tensor, { data: () => (reads++, data()) });
    const source = arraySource({ x: tensor, batchSize: 1 });
    expect(await source.fingerprint()).toBe(await source.fingerprint());
    expect(reads).toBe(1);
    tensor.dispose();
  });

  it('refuses a tensor that is disposed, at once or when it is read, naming it', async () => {
    const { x: inputs, y: ids } = given();
    const source = arraySource({ x: inputs, y: ids, batchSize: 2 });
    tf.dispose([inputs.image, inputs.mask, ids]);
    const refused = { code: 'source/disposed', message: /tensor x\.image of the source/ };
    const matching = expect.objectContaining({
      code: refused.code,
      message: expect.stringMatching(refused.message),
    });
    await expect(epochOf(source, targets)).rejects.toEqual(matching);
    await expect(source.fingerprint()).rejects.toEqual(matching);
    expect(() => arraySource({ x: inputs, batchSize: 2 })).toThrow(matching);
  });

  /** What a tensor of another copy has; the engine in use does not know its value. */
  const foreign = {
    ...{ dataId: {}, shape: [5], dtype: 'float32', isDisposed: false },
    ...{ data: () => undefined, dataSync: () => undefined, throwIfDisposed: () => undefined },
  };

  test.each<[string, () => object, RegExp]>([
    ['source/array', () => tf.tensor1d(['a', 'b']), /y must be a tensor of dtype.*string/],
    ['source/length', () => tf.zeros([4]), /y has 4 examples, x has 5/],
    ['session/two-tfjs', () => foreign, /^y comes from another copy/],
  ])('refuses with %s', (expected, make, says) => {
    const tensor = make();
    const open = () => arraySource({ x, y: tensor as tf.Tensor, batchSize: 2 });
    expect(open).toThrow(code(expected));
    expect(open).toThrow(says);
    if (tensor !== foreign) tf.dispose(tensor as tf.Tensor);
  });
});

const options = { fingerprint: 'v1' };
async function* countTo(n: number) {
  for (let i = 0; i < n; i++) yield { x: tf.tensor1d([i]) };
}
const inputs = ({ x: given }: RawBatch) => numbers(given);

describe('iterableSource', () => {
  it('opens the generator for each epoch with its stream, and disposes what was seen', async () => {
    const opened: [number, number][] = [];
    const source = iterableSource(
      ({ epoch, stream }) => {
        opened.push([epoch, stream()]);
        return countTo(3);
      },
      { ...options, batchesPerEpoch: 3 },
    );
    const before = tf.memory().numTensors;
    expect(await epochOf(source, inputs, { epoch: 4, skip: 2 })).toEqual([[2]]);
    expect(tf.memory().numTensors).toBe(before);
    expect(opened).toEqual([[4, keyedRng(0, 'order', 4)()]]);
    expect(source.batchesPerEpoch).toBe(3);
    expect(await source.fingerprint()).toBe('v1');
  });

  it('names batch and epoch of what the generator throws, and keeps errors with a code', async () => {
    const failing = iterableSource(async function* () {
      yield* countTo(1);
      throw new Error('disk gone');
    }, options);
    await expect(epochOf(failing, inputs, { epoch: 2 })).rejects.toThrow(
      /v1: batch 1 of epoch 2: disk gone.*\(source\/failed\)/,
    );
    const wrong = iterableSource(() => [tf.tensor1d([1])] as never, options);
    await expect(epochOf(wrong, inputs)).rejects.toThrow(code('source/batch'));
  });

  test.each([iterableSource, datasetSource])('%o takes a function and a fingerprint', (make) => {
    expect(() => make([] as never, options)).toThrow(code('source/not-a-factory'));
    expect(() => make((() => []) as never, {} as never)).toThrow(code('source/fingerprint'));
  });
});

describe('datasetSource', () => {
  const dataset = (values: readonly unknown[]) => ({
    iterator: () => {
      const all = values.values();
      return Promise.resolve({
        next: () => Promise.resolve(all.next() as { value: unknown; done: boolean }),
      });
    },
  });

  it('gives xs and ys as x and y, from a dataset opened for each epoch', async () => {
    const source = datasetSource(
      ({ epoch }) => dataset([{ xs: tf.tensor1d([epoch]), ys: tf.tensor1d([7]) }]),
      options,
    );
    const read = (batch: RawBatch) => [inputs(batch), targets(batch)];
    expect(await epochOf(source, read, { epoch: 3 })).toEqual([[[3], [7]]]);
  });

  it.each([
    ['arrays', () => ({ xs: [1, 2], ys: [0] })],
    ['numbers', () => ({ xs: tf.ones([2]), ys: 3 })],
    ['scalars', () => ({ xs: tf.ones([2]), ys: tf.scalar(3) })],
    ['arrays by name', () => ({ xs: { a: [1, 2] }, ys: tf.ones([1]) })],
  ])('says that a dataset of %s is not batched', async (_, element) => {
    const source = datasetSource(() => dataset([element()]), options);
    const before = tf.memory().numTensors;
    await expect(epochOf(source, inputs)).rejects.toThrow(/not batched.*\.batch\(32\)/);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('refuses elements that are no { xs, ys }, and frees them', async () => {
    const source = datasetSource(() => dataset([[tf.tensor1d([1])]]), options);
    const before = tf.memory().numTensors;
    await expect(epochOf(source, inputs)).rejects.toThrow(code('source/batch'));
    expect(tf.memory().numTensors).toBe(before);
  });
});
