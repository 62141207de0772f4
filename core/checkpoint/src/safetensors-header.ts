import { EspalierError } from '@espalier/base';
import { arrayTypeOf, countElements, DTYPES } from './host-tensor.js';
import type { HostTensor, SafetensorsDtype } from './host-tensor.js';

const KNOWN = DTYPES.join(', ');
/** Types of the format whose elements share bytes. */
const PACKED = ['F4', 'F6_E2M3', 'F6_E3M2'];
const MAX_HEADER = 100_000_000; // bytes; the reference implementation's limit
const LENGTH = 8; // bytes in front of the header, which say how long it is

const METADATA = '__metadata__';

/** Names that no tensor may have. */
export const RESERVED = [METADATA, '__proto__'];

/** Where a tensor is in a safetensors file. */
export interface SafetensorsEntry extends Omit<HostTensor, 'data'> {
  /** Name of the tensor. */
  readonly name: string;
  /** Byte of the file at which its data begin. */
  readonly begin: number;
  /** Byte of the file behind its data. */
  readonly end: number;
}

/** What the header of a safetensors file says. */
export interface SafetensorsHeader {
  /** In the order of their data. */
  readonly tensors: readonly SafetensorsEntry[];
  /** Texts by name. */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Where the data of a safetensors file begin.
 *
 * @param start The first bytes of the file, at least 8 where it has so many.
 * @param size Bytes of the whole file.
 * @throws EspalierError `safetensors/invalid`
 * @example
 * const begin = measureSafetensorsHeader(bytes, bytes.length);
 */
export function measureSafetensorsHeader(start: Uint8Array, size: number): number {
  if (start.length < LENGTH)
    throw invalidFileError('it is shorter than the 8 bytes of its header length');
  const claimed = new DataView(start.buffer, start.byteOffset).getBigUint64(0, true);
  if (claimed > MAX_HEADER || claimed > size - LENGTH) {
    throw invalidFileError(
      `it claims a header of ${claimed} bytes and has ${size - LENGTH} (cut short?)`,
    );
  }
  return LENGTH + Number(claimed);
}

/**
 * Reads the header of a safetensors file. What it claims is checked against the size of the file, so that
 * every tensor can be read where it says.
 *
 * @param start The file, or its beginning up to the data ({@link measureSafetensorsHeader}).
 * @param size Bytes of the whole file.
 * @throws EspalierError `safetensors/invalid` on whatever is not exactly such a file,
 * `safetensors/dtype` on elements of 4 or 6 bits.
 * @example
 * const { tensors } = readSafetensorsHeader(bytes, bytes.length);
 */
export function readSafetensorsHeader(start: Uint8Array, size: number): SafetensorsHeader {
  const begin = measureSafetensorsHeader(start, size);
  const text = decodeText(start.subarray(LENGTH, begin));
  const header = parseObject(text);
  const tensors = Object.entries(header)
    .filter(([name]) => name !== METADATA)
    .map(([name, value]) => locate(name, value, begin))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);
  const metadata = readMetadata(header[METADATA] ?? {}); // null is none, as for the reference implementation
  checkKeys(text, header);
  checkTiling(tensors, begin, size);
  return { tensors, metadata };
}

function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
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

function locate(name: string, value: unknown, start: number): SafetensorsEntry {
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
  const size = countElements(shape) * arrayTypeOf(dtype).BYTES_PER_ELEMENT;
  if (!Number.isSafeInteger(size) || end - begin !== size) {
    throw refuse(`needs ${size} bytes and is given ${end - begin}`);
  }
  return { name, dtype, shape, begin: start + begin, end: start + end };
}

function readMetadata(value: unknown): Readonly<Record<string, string>> {
  const strings = isObject(value) && Object.values(value).every((v) => typeof v === 'string');
  if (!strings || Object.hasOwn(value, '__proto__'))
    throw invalidFileError(`its ${METADATA} is no object of strings`);
  return value as Record<string, string>;
}

/** JSON.parse drops a repeated key silently; there are then more colons than keys. */
function checkKeys(text: string, header: Readonly<Record<string, unknown>>): void {
  const inner = Object.values(header).map((value) => Object.keys(value ?? {}).length);
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

function checkTiling(sorted: readonly SafetensorsEntry[], start: number, size: number): void {
  let reached = start;
  for (const { name, begin, end } of sorted) {
    if (begin !== reached) {
      throw invalidFileError(
        `tensor '${name.slice(0, 80)}' begins at byte ${begin - start}, not at ${reached - start}`,
      );
    }
    reached = end;
  }
  if (reached !== size) {
    throw invalidFileError(
      `it has ${size - start} bytes of data where ${reached - start} are described`,
    );
  }
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
  return DTYPES.includes(value as SafetensorsDtype);
}

function isCounts(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}
