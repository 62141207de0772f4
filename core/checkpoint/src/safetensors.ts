import { EspalierError } from '@espalier/base';

// Written here because npm has no kept package that writes safetensors. Typed arrays are
// little-endian, as the format is, on every platform that runs JavaScript engines with WebAssembly.
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

const KNOWN = Object.keys(ARRAYS).join(', ');
/** Types of the format whose elements share bytes. */
const PACKED = ['F4', 'F6_E2M3', 'F6_E3M2'];
const MAX_HEADER = 100_000_000; // bytes; the reference implementation's limit
const RESERVED = ['__metadata__', '__proto__'];

/**
 * Element types of the format. F16 and BF16 are their bits in a Uint16Array, F8 in a Uint8Array, C64 in
 * a BigUint64Array.
 */
export type SafetensorsDtype = keyof typeof ARRAYS;

/** A tensor on the host; `data` has one element per entry of `shape`, row-major. */
export interface HostTensor {
  /** Type of the elements, by its name in safetensors. */
  readonly dtype: SafetensorsDtype;
  /** Sizes of the axes; `[]` for a scalar. */
  readonly shape: readonly number[];
  /** The elements, row-major; F16 and BF16 as their bits in a `Uint16Array`. */
  readonly data: (typeof ARRAYS)[SafetensorsDtype]['prototype'];
}

/** What a safetensors file holds. */
export interface Safetensors {
  /** Tensors by name. */
  readonly tensors: ReadonlyMap<string, HostTensor>;
  /** Texts by name. */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Encodes tensors in the safetensors format: header length, JSON header, data without gaps. Wide
 * types come first, so that every tensor is aligned.
 *
 * @throws EspalierError `safetensors/entry` on a reserved or repeated name, or data that does not
 * fit dtype and shape.
 * @see https://huggingface.co/docs/safetensors
 * @example
 * const w = { name: 'w', dtype: 'F32', shape: [2], data: new Float32Array([1, 2]) } as const;
 * const bytes = encodeSafetensors([w], { author: 'me' });
 */
export function encodeSafetensors(
  entries: readonly (HostTensor & { readonly name: string })[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const sorted = [...entries].sort((a, b) => bytesPerElement(b.dtype) - bytesPerElement(a.dtype));
  const header = encodeHeader(sorted, metadata);
  const start = 8 + header.length;
  const size = sorted.reduce((sum, { data }) => sum + data.byteLength, start);
  const bytes = new Uint8Array(size);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
  bytes.set(header, 8);
  let offset = start;
  for (const { data } of sorted) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
    offset += data.byteLength;
  }
  return bytes;
}

/** Assembled by hand: an object would put names such as '7' in front of the metadata. */
function encodeHeader(
  entries: readonly (HostTensor & { readonly name: string })[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const names = new Set(RESERVED);
  const fields = [`"__metadata__":${JSON.stringify(metadata)}`];
  let offset = 0;
  for (const { name, dtype, shape, data } of entries) {
    checkEntry(name, { dtype, shape, data }, names);
    const data_offsets = [offset, (offset += data.byteLength)];
    fields.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets })}`);
  }
  const json = new TextEncoder().encode(`{${fields.join(',')}}`);
  const padded = new Uint8Array(Math.ceil(json.length / 8) * 8).fill(0x20);
  padded.set(json);
  return padded;
}

function checkEntry(name: string, { dtype, shape, data }: HostTensor, names: Set<string>): void {
  const refuse = (problem: string, received: unknown) =>
    new EspalierError('safetensors/entry', {
      problem: `tensor '${name}' ${problem}`,
      received,
      fix: 'Give each tensor a name of its own, a known dtype, and data of its shape and dtype.',
    });
  if (names.has(name)) throw refuse('has a name that is taken or reserved', name);
  if (!(dtype in ARRAYS)) throw refuse('has a dtype that the format lacks', dtype);
  if (!(data instanceof ARRAYS[dtype]) || data.length !== countElements(shape)) {
    throw refuse(`has data that do not fit ${dtype} [${shape.join(', ')}]`, data.length);
  }
  names.add(name);
}

/**
 * Decodes a safetensors file. Tensors are views of `bytes` where alignment allows, else copies.
 * Nothing the header claims is believed or allocated before all of it is checked.
 *
 * @throws EspalierError `safetensors/invalid` on whatever is not exactly such a file,
 * `safetensors/dtype` on elements of 4 or 6 bits.
 * @example
 * const { tensors, metadata } = decodeSafetensors(bytes);
 */
export function decodeSafetensors(bytes: Uint8Array): Safetensors {
  const { text, start } = readHeader(bytes);
  const header = parseObject(text);
  const located = Object.entries(header)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, value]) => locate(name, value))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);
  const metadata = readMetadata(header['__metadata__'] ?? {});
  checkKeys(text, header);
  checkTiling(located, bytes.length - start);
  const tensors = located.map(({ name, dtype, shape, begin, end }): [string, HostTensor] => {
    return [name, { dtype, shape, data: viewTensor(bytes, dtype, start + begin, start + end) }];
  });
  return { tensors: new Map(tensors), metadata };
}

function readHeader(bytes: Uint8Array): { text: string; start: number } {
  if (bytes.length < 8)
    throw invalidFileError('it is shorter than the 8 bytes of its header length');
  const claimed = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (claimed > MAX_HEADER || claimed > bytes.length - 8) {
    throw invalidFileError(
      `it claims a header of ${claimed} bytes and has ${bytes.length - 8} (cut short?)`,
    );
  }
  const start = 8 + Number(claimed);
  try {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    return { text: decoder.decode(bytes.subarray(8, start)), start };
  } catch (cause) {
    throw invalidFileError('its header is not UTF-8', cause);
  }
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw invalidFileError('its header is not JSON', cause);
  }
  if (!text.startsWith('{') || !isObject(parsed))
    throw invalidFileError('its header is not a JSON object');
  return parsed;
}

interface Located extends Omit<HostTensor, 'data'> {
  readonly name: string;
  readonly begin: number;
  readonly end: number;
}

function locate(name: string, value: unknown): Located {
  const refuse = (problem: string) => invalidFileError(`tensor '${name.slice(0, 80)}' ${problem}`);
  if (RESERVED.includes(name)) throw refuse('has a reserved name');
  if (!isObject(value) || Object.keys(value).length !== 3) {
    throw refuse('is not described by dtype, shape and data_offsets');
  }
  const { dtype, shape, data_offsets: offsets } = value;
  if (PACKED.includes(String(dtype))) throw packedDtypeError(name, String(dtype));
  if (!isDtype(dtype)) {
    throw refuse(`has an unknown dtype (${String(dtype).slice(0, 80)}); known: ${KNOWN}`);
  }
  if (!isCounts(shape)) throw refuse('has a shape that is not a list of counts');
  if (!isCounts(offsets) || offsets.length !== 2) throw refuse('has no two data offsets');
  const [begin, end] = offsets as [number, number];
  const size = countElements(shape) * bytesPerElement(dtype);
  if (!Number.isSafeInteger(size) || end - begin !== size) {
    throw refuse(`needs ${size} bytes and is given ${end - begin}`);
  }
  return { name, dtype, shape, begin, end };
}

function readMetadata(value: unknown): Readonly<Record<string, string>> {
  const strings = isObject(value) && Object.values(value).every((v) => typeof v === 'string');
  if (!strings || Object.hasOwn(value, '__proto__'))
    throw invalidFileError('its metadata are not strings');
  return value as Record<string, string>;
}

/** JSON.parse drops a repeated key silently; there are then more colons than keys. */
function checkKeys(text: string, header: Readonly<Record<string, unknown>>): void {
  const inner = Object.values(header).map((value) => Object.keys(value as object).length);
  const keys = inner.reduce((sum, count) => sum + count, inner.length);
  let colons = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '"') quoted = !quoted;
    else if (quoted && text[i] === '\\') i++;
    else if (!quoted && text[i] === ':') colons++;
  }
  if (colons !== keys) throw invalidFileError('its header names something twice');
}

function checkTiling(sorted: readonly Located[], size: number): void {
  let reached = 0;
  for (const { name, begin, end } of sorted) {
    if (begin !== reached) {
      throw invalidFileError(
        `tensor '${name.slice(0, 80)}' begins at byte ${begin}, not at ${reached}`,
      );
    }
    reached = end;
  }
  if (reached !== size)
    throw invalidFileError(`it has ${size} bytes of data where ${reached} are described`);
}

type ArrayType = new (buffer: ArrayBufferLike, at?: number, length?: number) => HostTensor['data'];

function viewTensor(bytes: Uint8Array, dtype: SafetensorsDtype, from: number, to: number) {
  const Data: ArrayType = ARRAYS[dtype];
  const [begin, end] = [bytes.byteOffset + from, bytes.byteOffset + to];
  if (begin % bytesPerElement(dtype) !== 0) return new Data(bytes.buffer.slice(begin, end));
  return new Data(bytes.buffer, begin, (end - begin) / bytesPerElement(dtype));
}

function invalidFileError(problem: string, cause?: unknown): EspalierError {
  return new EspalierError('safetensors/invalid', {
    problem: `this is not a valid safetensors file: ${problem}`,
    fix: 'Take another copy of the file, or write it again.',
    cause,
  });
}

function packedDtypeError(name: string, dtype: string): EspalierError {
  return new EspalierError('safetensors/dtype', {
    problem: `tensor '${name.slice(0, 80)}' has elements that share bytes, which are not read`,
    received: dtype,
    fix: 'Save it in bits of its own: F32, BF16, F16, or whole bytes (U8).',
  });
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isDtype(value: unknown): value is SafetensorsDtype {
  return typeof value === 'string' && Object.hasOwn(ARRAYS, value);
}

function isCounts(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

function bytesPerElement(dtype: SafetensorsDtype): number {
  return ARRAYS[dtype]?.BYTES_PER_ELEMENT;
}

function countElements(shape: readonly number[]): number {
  return shape.reduce((size, n) => size * n, 1);
}
