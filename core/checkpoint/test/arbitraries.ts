import type { HostTensor, SafetensorsDtype } from '@espalier/checkpoint';
import fc from 'fast-check';

const ARRAYS = {
  F64: Float64Array,
  I64: BigInt64Array,
  U64: BigUint64Array,
  C64: BigUint64Array,
  F32: Float32Array,
  I32: Int32Array,
  U32: Uint32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I16: Int16Array,
  U16: Uint16Array,
  I8: Int8Array,
  U8: Uint8Array,
  F8_E4M3: Uint8Array,
  F8_E5M2: Uint8Array,
  F8_E8M0: Uint8Array,
  BOOL: Uint8Array,
} as const;

export const bytesOf = ({ data }: HostTensor): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();

/** A tensor whose data are any bits at all, NaN payloads included. */
const hostTensor = fc
  .record({
    dtype: fc.constantFrom(...(Object.keys(ARRAYS) as SafetensorsDtype[])),
    shape: fc.array(fc.nat(4), { maxLength: 4 }),
  })
  .chain(({ dtype, shape }) => {
    const bytes = shape.reduce((a, b) => a * b, ARRAYS[dtype].BYTES_PER_ELEMENT);
    return fc
      .uint8Array({ minLength: bytes, maxLength: bytes })
      .map((raw): HostTensor => ({ dtype, shape, data: new ARRAYS[dtype](raw.slice().buffer) }));
  });

const name = fc
  .oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: 'grapheme' }),
    fc.nat(99).map(String),
    fc.constantFrom('constructor', 'toString', '', '"', '\\', ':{}'),
  )
  .filter((text) => !['__metadata__', '__proto__'].includes(text));

export const tensorMap = fc
  .uniqueArray(fc.tuple(name, hostTensor), { selector: ([key]) => key, maxLength: 6 })
  .map((entries) => new Map(entries));

export const metadata = fc.dictionary(
  fc.string({ unit: 'grapheme' }).filter((key) => key !== '__proto__'),
  fc.string({ unit: 'grapheme' }),
  { noNullPrototype: true, maxKeys: 4 },
);

/** A file broken at one place: a byte flipped, the end cut off, or garbage appended. */
export const broken = (file: Uint8Array) =>
  fc.oneof(
    fc.tuple(fc.nat(file.length - 1), fc.integer({ min: 1, max: 255 })).map(([at, mask]) => {
      const copy = file.slice();
      copy[at]! ^= mask;
      return copy;
    }),
    fc.nat(file.length - 1).map((length) => file.slice(0, length)),
    fc.uint8Array({ minLength: 1, maxLength: 9 }).map((tail) => new Uint8Array([...file, ...tail])),
  );
