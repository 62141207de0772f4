import type { ByteSource } from './byte-source.js';

const CHUNK = 2 ** 22;

/** Where a record is in a buffer: bytes `begin` to `end`; the one behind it begins at `next`. */
export interface Extent {
  readonly begin: number;
  readonly end: number;
  readonly next: number;
}

/** A word and its vector, in a buffer that others share. */
export interface VectorRecord extends Extent {
  readonly bytes: Buffer<ArrayBuffer>;
  /** Byte of the source at which it begins. */
  readonly at: number;
}

/**
 * Finds the record that begins at a byte of a buffer.
 *
 * @param isLast Nothing follows the buffer.
 * @returns `undefined` where the buffer ends before the record.
 */
export type FindRecord = (
  bytes: Buffer<ArrayBuffer>,
  begin: number,
  isLast: boolean,
) => Extent | undefined;

/** A place in the records of a source. */
export interface RecordRange {
  readonly from: number;
  readonly to: number;
}

/**
 * The records of a part of a source, in groups that share a buffer.
 *
 * @param longest A record of more bytes ends the reading by `refuse`.
 */
export async function* readRecords(
  source: ByteSource,
  { from, to }: RecordRange,
  find: FindRecord,
  { longest, refuse }: { readonly longest: number; readonly refuse: (at: number) => Error },
): AsyncGenerator<readonly VectorRecord[]> {
  let rest: Buffer<ArrayBuffer> = Buffer.alloc(0);
  for (let next = from; next < to;) {
    const end = Math.min(next + CHUNK, to);
    const begin = next - rest.length;
    const bytes: Buffer<ArrayBuffer> = Buffer.concat([rest, await source.read(next, end)]);
    const records = splitRecords(bytes, begin, find, end === source.size);
    yield records;
    rest = bytes.subarray(records.at(-1)?.next ?? 0);
    if (rest.length > longest) throw refuse(end - rest.length);
    next = end;
  }
}

function splitRecords(
  bytes: Buffer<ArrayBuffer>,
  source: number,
  find: FindRecord,
  isLast: boolean,
): readonly VectorRecord[] {
  const records: VectorRecord[] = [];
  for (let begin = 0; begin < bytes.length;) {
    const found = find(bytes, begin, isLast);
    if (!found) break;
    const { end, next } = found;
    records.push({ bytes, begin: found.begin, end, next, at: source + found.begin });
    begin = next;
  }
  return records;
}
