import { decodeSafetensors, encodeSafetensors } from '@espalier/checkpoint';
import type { HostTensor, SafetensorsDtype } from '@espalier/checkpoint';
import { decodeNpy, isFloat, pytorchLayers, pytorchModules, toFloat32 } from '@espalier/formats';
import { onBackend } from '@espalier/testkit';
import { beforeAll, describe, expect, test } from 'vitest';

beforeAll(() => onBackend('cpu'));

/** A safetensors file of one tensor `fc.weight` `[2, 2]` with these bits. */
function safetensors(dtype: string, bytes: Uint8Array): Uint8Array {
  const described = { dtype, shape: [2, 2], data_offsets: [0, bytes.length] };
  const header = new TextEncoder().encode(JSON.stringify({ 'fc.weight': described }));
  const file = new Uint8Array(8 + header.length + bytes.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true);
  file.set(header, 8);
  file.set(bytes, 8 + header.length);
  return file;
}

const bytesOf = (array: ArrayBufferView) =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
const one = [1, 0, 1, 0];

/** Every element type of the format: its bits for 1, 0, 1, 0, and whether they are numbers. */
const DTYPES: readonly (readonly [string, ArrayBufferView, 'weights' | 'numbers' | 'codes'])[] = [
  ['F64', Float64Array.from(one), 'weights'],
  ['F32', Float32Array.from(one), 'weights'],
  ['F16', Uint16Array.from(one, (n) => n * 0x3c00), 'weights'],
  ['BF16', Uint16Array.from(one, (n) => n * 0x3f80), 'weights'],
  ['I64', BigInt64Array.from(one, BigInt), 'numbers'],
  ['U64', BigUint64Array.from(one, BigInt), 'numbers'],
  ['I32', Int32Array.from(one), 'numbers'],
  ['U32', Uint32Array.from(one), 'numbers'],
  ['I16', Int16Array.from(one), 'numbers'],
  ['U16', Uint16Array.from(one), 'numbers'],
  ['I8', Int8Array.from(one), 'numbers'],
  ['U8', Uint8Array.from(one), 'numbers'],
  ['BOOL', Uint8Array.from(one), 'numbers'],
  ['F8_E4M3', Uint8Array.from(one, (n) => n * 0x38), 'codes'],
  ['F8_E5M2', Uint8Array.from(one, (n) => n * 0x3c), 'codes'],
  ['F8_E8M0', Uint8Array.from(one, (n) => n * 0x7f), 'codes'],
  ['C64', BigUint64Array.from(one, (n) => BigInt(n) * 0x3f800000n), 'codes'],
];

describe('every dtype of safetensors', () => {
  test.each(DTYPES)('%s', (dtype, array, meaning) => {
    const { tensors } = decodeSafetensors(safetensors(dtype, bytesOf(array)));
    const tensor = tensors.get('fc.weight')!;
    expect(tensor.dtype).toBe(dtype);
    expect(bytesOf(tensor.data)).toEqual(bytesOf(array));
    const again = encodeSafetensors([{ name: 'fc.weight', ...tensor }]);
    expect(decodeSafetensors(again).tensors).toEqual(tensors);

    expect(isFloat(tensor)).toBe(meaning === 'weights');
    if (meaning === 'codes') expect(() => toFloat32(tensor)).toThrow(`Received: '${dtype}'`);
    else expect([...toFloat32(tensor)]).toEqual(one);

    const { modules, rest } = pytorchModules(tensors);
    expect(modules.map(({ name }) => name)).toEqual(meaning === 'weights' ? ['fc'] : []);
    expect(rest).toEqual(meaning === 'weights' ? [] : ['fc.weight']);
    if (meaning === 'weights') return;
    expect(() => pytorchLayers(tensors, ['fc'])).toThrow(/'fc' is of no kind.*codes/);
  });

  test.each(['F4', 'F6_E2M3', 'F6_E3M2'])('%s is refused by name', (dtype) => {
    const decode = () => decodeSafetensors(safetensors(dtype, new Uint8Array(3)));
    expect(decode).toThrow(/'fc\.weight'.*share bytes.*safetensors\/dtype/);
    expect(decode).toThrow(dtype);
  });
});

/** A `.npy` file of version 1. */
function npy(descr: string, bytes: Uint8Array, { shape = [2, 2], fortran = false } = {}) {
  const order = fortran ? 'True' : 'False';
  const dict = `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': (${shape.join(', ')}), }`;
  const header = new TextEncoder().encode(`${dict.padEnd(117)}\n`);
  const file = new Uint8Array(10 + header.length + bytes.length);
  file.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]);
  new DataView(file.buffer).setUint16(8, header.length, true);
  file.set(header, 10);
  file.set(bytes, 10 + header.length);
  return file;
}

const turned = (array: ArrayBufferView, width: number) => {
  const bytes = bytesOf(array).slice();
  for (let at = 0; at < bytes.length; at += width) bytes.subarray(at, at + width).reverse();
  return bytes;
};

/** Every element type of NumPy that has a width of its own. */
const NPY: readonly (readonly [string, SafetensorsDtype, ArrayBufferView & { length: number }])[] =
  [
    ['f8', 'F64', Float64Array.of(1, 2, 3, 4)],
    ['f4', 'F32', Float32Array.of(1, 2, 3, 4)],
    ['f2', 'F16', Uint16Array.of(0x3c00, 0x4000, 0x4200, 0x4400)],
    ['i8', 'I64', BigInt64Array.of(1n, 2n, 3n, 4n)],
    ['u8', 'U64', BigUint64Array.of(1n, 2n, 3n, 4n)],
    ['i4', 'I32', Int32Array.of(1, 2, 3, 4)],
    ['u4', 'U32', Uint32Array.of(1, 2, 3, 4)],
    ['i2', 'I16', Int16Array.of(1, 2, 3, 4)],
    ['u2', 'U16', Uint16Array.of(1, 2, 3, 4)],
    ['i1', 'I8', Int8Array.of(1, 2, 3, 4)],
    ['u1', 'U8', Uint8Array.of(1, 2, 3, 4)],
  ];

describe('every element type of NumPy', () => {
  test.each(NPY)('%s, in both orders of bytes and of dimensions', (code, dtype, array) => {
    const width = array.byteLength / 4;
    const values = (file: Uint8Array) => [...toFloat32(decodeNpy(file))];
    expect(decodeNpy(npy(`'<${code}'`, bytesOf(array))).dtype).toBe(dtype);
    expect(values(npy(`'<${code}'`, bytesOf(array)))).toEqual([1, 2, 3, 4]);
    expect(values(npy(`'>${code}'`, turned(array, width)))).toEqual([1, 2, 3, 4]);
    const fortran = npy(`'<${code}'`, bytesOf(array), { fortran: true });
    expect(values(fortran)).toEqual([1, 3, 2, 4]);
  });

  test.each([
    ['complex64', "'<c8'", 8],
    ['complex128', "'<c16'", 16],
    ['bfloat16 and float8 of ml_dtypes', "'<V2'", 2],
    ['float8 of ml_dtypes', "'|V1'", 1],
    ['longdouble', "'<f16'", 16],
    ['text', "'<U5'", 20],
    ['bytes', "'|S5'", 5],
    ['objects', "'|O'", 8],
    ['dates', "'<M8[ns]'", 8],
    ['times', "'<m8[s]'", 8],
    ['records', "[['a', '<f4'], ['b', '<i4']]", 8],
  ])('%s are refused by name', (_, descr, width) => {
    const file = npy(descr, new Uint8Array(4 * width));
    expect(() => decodeNpy(file)).toThrow(/type that is not read.*npy\/dtype/);
  });

  test('integers beyond 2^53 keep their bits', () => {
    const large = BigInt64Array.of(2n ** 53n + 1n, -(2n ** 63n), 0n, 2n ** 63n - 1n);
    expect(decodeNpy(npy("'<i8'", bytesOf(large))).data).toEqual(large);
  });
});

const tensor = (...shape: number[]): HostTensor => ({
  dtype: 'F32',
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => i),
});
const fc = (name: string, rows: number, columns: number, bias: number) =>
  [
    [`${name}.weight`, tensor(rows, columns)],
    [`${name}.bias`, tensor(bias)],
  ] as const;

describe('Conv1D of GPT-2, whose weight is [inputs, outputs]', () => {
  const square = fc('h.0.attn.c_proj', 2, 2, 2);
  /** What stands beside the square module, and what that makes of it. */
  test.each<[string, readonly (readonly [string, HostTensor])[], string | undefined]>([
    ['GPT-2: others are Conv1D', fc('h.0.attn.c_attn', 2, 6, 6), 'conv1d'],
    ['nanoGPT: others are Linear', fc('h.0.attn.c_attn', 6, 2, 6), 'linear'],
    ['nothing tells', [], undefined],
    ['only modules of other names', fc('head', 5, 2, 5), undefined],
    ['both', [...fc('h.0.c_fc', 2, 6, 6), ...fc('h.1.c_fc', 6, 2, 6)], undefined],
  ])('a square one where %s', (_, others, kind) => {
    const state = new Map([...square, ...others]);
    const { modules, rest } = pytorchModules(state);
    const found = modules.find(({ name }) => name === 'h.0.attn.c_proj');
    expect(found?.kind).toBe(kind);
    expect(rest.includes('h.0.attn.c_proj.weight')).toBe(kind === undefined);
  });

  test('another square module is linear, but where Conv1D stands under other names', () => {
    const own = fc('dense', 2, 2, 2);
    expect(pytorchModules(new Map(own)).modules).toMatchObject([{ kind: 'linear' }]);
    const beside = pytorchModules(new Map([...own, ...fc('up', 2, 6, 6)]));
    expect(beside).toEqual({
      modules: [],
      rest: expect.arrayContaining(['dense.weight', 'up.weight']),
    });
  });

  test.each([
    ['linear', [0, 2, 1, 3]],
    ['conv1d', [0, 1, 2, 3]],
  ] as const)('kinds say which: %s', (kind, kernel) => {
    const state = new Map(square);
    const kinds = { 'h.0.attn.c_proj': kind };
    const [layer] = pytorchLayers(state, ['h.0.attn.c_proj'], { kinds });
    expect([...layer!.getWeights()[0]!.dataSync()]).toEqual(kernel);
    expect(() => pytorchLayers(state, ['h.0.attn.c_proj'])).toThrow(/'conv1d' is that of GPT-2/);
  });

  test('a Conv1D that is not square becomes a dense layer of its kernel', () => {
    const state = new Map(fc('c_fc', 2, 3, 3));
    const [layer] = pytorchLayers(state, ['c_fc']);
    expect(layer!.getWeights().map(({ shape }) => shape)).toEqual([[2, 3], [3]]);
    expect([...layer!.getWeights()[0]!.dataSync()]).toEqual([0, 1, 2, 3, 4, 5]);
  });
});
