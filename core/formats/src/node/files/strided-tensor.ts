import { arrayTypeOf, countElements } from '@espalier/checkpoint';
import type { HostTensor, SafetensorsDtype } from '@espalier/checkpoint';
import { toFloat32 } from '../../float32.js';
import { reverseEach } from '../../reverse-each.js';
import { gather, makeElements, measureSpan, rowMajor, visitPlaces } from '../../strided.js';
import type { ByteSource } from './byte-source.js';
import { checkRows } from './matrix-file.js';
import type { FileTensor } from './matrix-file.js';

/** A tensor whose elements lie in a source at regular distances. */
export interface StridedTensor {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly source: ByteSource;
  /** Element of the source at which the tensor begins; default 0. */
  readonly offset?: number;
  /** Elements from one index to the next, for each axis; default: row-major. */
  readonly strides?: readonly number[];
  readonly bigEndian?: boolean;
}

/** Rows of a transposed tensor are read together with what lies between them, up to so many bytes. */
const LARGEST_SPAN = 2 ** 24;
/** Bytes of one piece; a multiple of every element's width. */
const LARGEST_PIECE = 2 ** 31;

/** The tensor as one that can be read by rows. The caller has checked that it lies in the source. */
export function stridedTensor(given: StridedTensor): FileTensor {
  const { name, dtype, shape } = given;
  const rows = shape.length === 0 ? { ...given, shape: [1], strides: [1] } : given;
  const readBits = async (begin: number, end: number): Promise<HostTensor> => {
    checkRows(given, begin, end);
    const part = [end - begin, ...rows.shape.slice(1)];
    return { dtype, shape: part, data: await readElements(rows, begin, part) };
  };
  const readRows = async (begin: number, end: number) => toFloat32(await readBits(begin, end));
  return { name, dtype, shape, readBits, readRows };
}

type Elements = HostTensor['data'];

function readElements(
  tensor: StridedTensor,
  begin: number,
  part: readonly number[],
): Promise<Elements> {
  const { shape, strides = rowMajor(shape), offset = 0 } = tensor;
  const start = offset + begin * strides[0]!;
  const size = countElements(part);
  const span = measureSpan(part, strides);
  // What is row-major but for axes of one index lies in one run.
  const expected = rowMajor(part);
  const inOrder = part.every((n, axis) => n === 1 || strides[axis] === expected[axis]);
  if (size === 0 || inOrder) return readRun(tensor, start, size);
  const width = arrayTypeOf(tensor.dtype).BYTES_PER_ELEMENT;
  const isNear = span <= 4 * size || span * width <= LARGEST_SPAN;
  return isNear ? gatherSpan(tensor, start, part) : gatherColumns(tensor, start, part);
}

/** Elements that lie one after the other. */
async function readRun(
  { dtype, source, bigEndian }: StridedTensor,
  start: number,
  count: number,
): Promise<Elements> {
  const Data = arrayTypeOf(dtype);
  const width = Data.BYTES_PER_ELEMENT;
  const bytes = await readBuffer(source, start * width, (start + count) * width);
  if (bigEndian) reverseEach(new Uint8Array(bytes), width);
  return new Data(bytes);
}

/** A Uint8Array has at most 4 GiB, so more is read piece by piece. */
async function readBuffer(
  source: ByteSource,
  begin: number,
  end: number,
): Promise<ArrayBufferLike> {
  if (end - begin <= LARGEST_PIECE) return (await source.read(begin, end)).buffer;
  const buffer = new ArrayBuffer(end - begin);
  for (let at = begin; at < end; at += LARGEST_PIECE) {
    const piece = await source.read(at, Math.min(at + LARGEST_PIECE, end));
    new Uint8Array(buffer, at - begin, piece.length).set(piece);
  }
  return buffer;
}

async function gatherSpan(
  tensor: StridedTensor,
  start: number,
  part: readonly number[],
): Promise<Elements> {
  const { dtype, shape, strides = rowMajor(shape) } = tensor;
  return gather(dtype, await readRun(tensor, start, measureSpan(part, strides)), part, strides);
}

/** What the other axes index is read one after the other, in the order of the file. */
async function gatherColumns(
  tensor: StridedTensor,
  start: number,
  part: readonly number[],
): Promise<Elements> {
  const { dtype, shape, strides = rowMajor(shape) } = tensor;
  const [rows = 1, ...inner] = part;
  const columns: { readonly from: number; readonly to: number }[] = [];
  visitPlaces(inner, strides.slice(1), (from) => columns.push({ from, to: columns.length }));
  const out = makeElements(dtype, countElements(part));
  for (const { from, to } of columns.sort((a, b) => a.from - b.from)) {
    const run = (await readRun(tensor, start + from, measureSpan([rows], strides))) as Float64Array;
    for (let row = 0; row < rows; row++) out[row * columns.length + to] = run[row * strides[0]!]!;
  }
  return out;
}
