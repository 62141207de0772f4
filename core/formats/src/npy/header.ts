import { EspalierError } from '@espalier/base';

const MAGIC = [0x93, ...new TextEncoder().encode('NUMPY')];
const VERSION = MAGIC.length; // where it stands
const LENGTH = VERSION + 2;
const MAX_HEADER = 10_000; // bytes; NumPy's own limit
const MAX_RANK = 64; // NumPy's own limit
const ALIGNMENT = 64; // of the data, in files that are written

/** What a header says. `descr` is NumPy's name of the element type. */
export interface NpyHeader {
  readonly descr: unknown;
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
}

/** Whether a file begins as NumPy's do. */
export function isNpy(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, i) => bytes[i] === byte);
}

/** So many bytes at the beginning of a file hold its header. */
export const NPY_START = LENGTH + 4 + MAX_HEADER;

/**
 * @param size Bytes of the whole file, of which `bytes` is the beginning.
 * @returns the header and where the data begin.
 */
export function readHeader(
  bytes: Uint8Array,
  size: number,
): NpyHeader & { readonly start: number } {
  if (!isNpy(bytes)) throw invalidNpyError("it does not begin with NumPy's mark");
  const version = bytes[VERSION]!;
  if (![1, 2, 3].includes(version))
    throw invalidNpyError(`it is of the unknown version ${version}`);
  const begin = LENGTH + (version === 1 ? 2 : 4);
  if (bytes.length < begin) throw invalidNpyError('it ends before its header (cut short?)');
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const length = version === 1 ? view.getUint16(LENGTH, true) : view.getUint32(LENGTH, true);
  if (length > MAX_HEADER || length > size - begin) {
    throw invalidNpyError(`it claims a header of ${length} bytes and has ${size - begin}`);
  }
  const start = begin + length;
  return { ...parse(new TextDecoder().decode(bytes.subarray(begin, start))), start };
}

/** A header of version 1. */
export function writeHeader(descr: string, shape: readonly number[]): Uint8Array {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${tuple}, }`;
  const begin = LENGTH + 2;
  const size = Math.ceil((begin + text.length + 1) / ALIGNMENT) * ALIGNMENT;
  const header = new Uint8Array(size).fill(0x20);
  header.set([...MAGIC, 1, 0]);
  new DataView(header.buffer).setUint16(LENGTH, size - begin, true);
  header.set(new TextEncoder().encode(text), begin);
  header[size - 1] = 0x0a;
  return header;
}

export function invalidNpyError(problem: string, cause?: unknown): EspalierError {
  return new EspalierError('npy/invalid', {
    problem: `this is not a sound .npy file: ${problem}`,
    fix: 'Take another copy of the file, or write it again with numpy.save.',
    cause,
  });
}

/** The header is a Python dict of three keys, in any order. */
function parse(text: string): NpyHeader {
  const fields = fromPython(text);
  const { descr, fortran_order: fortranOrder, shape } = fields;
  if (Object.keys(fields).sort().join() !== 'descr,fortran_order,shape') {
    throw invalidNpyError('its header does not hold descr, fortran_order and shape alone');
  }
  if (typeof fortranOrder !== 'boolean')
    throw invalidNpyError('its fortran_order is not True or False');
  if (!isShape(shape))
    throw invalidNpyError(`its shape is not a tuple of at most ${MAX_RANK} counts`);
  return { descr, fortranOrder, shape };
}

/** Python's literals for dicts, tuples, booleans and plain strings are nearly JSON. */
function fromPython(text: string): Readonly<Record<string, unknown>> {
  const json = text
    .replaceAll("'", '"')
    .replaceAll('(', '[')
    .replaceAll(')', ']')
    .replace(/\bTrue\b/g, 'true')
    .replace(/\bFalse\b/g, 'false')
    .replace(/(\d)L\b/g, '$1') // long integers of Python 2
    .replace(/,\s*(?=[\]}])/g, '');
  try {
    return Object(JSON.parse(json)) as Readonly<Record<string, unknown>>;
  } catch (cause) {
    throw invalidNpyError('its header is not a dict', cause);
  }
}

function isShape(value: unknown): value is readonly number[] {
  const isCount = (n: unknown) => Number.isSafeInteger(n) && (n as number) >= 0;
  return Array.isArray(value) && value.length <= MAX_RANK && value.every(isCount);
}
