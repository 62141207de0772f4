import { EspalierError } from '@espalier/base';
import { readStart, sliceSource } from './byte-source.js';
import type { ByteSource } from './byte-source.js';
import { inflatedSource } from './inflated-source.js';

// Written here because npm's kept readers of zip archives give streams, not bytes at any position, and
// believe sizes that a hostile archive claims. Decompression is the platform's.

/** A file in a zip archive. */
export interface ZipEntry {
  readonly name: string;
  /** Bytes of the file, once decompressed. */
  readonly size: number;
  /** Its content; what is stored without compression is read at any position. */
  open(): Promise<ByteSource>;
}

const END = { mark: 0x06054b50, size: 22, longestComment: 0xffff };
const LOCATOR = { mark: 0x07064b50, size: 20 };
const END64 = { mark: 0x06064b50, size: 56 };
const ENTRY = { mark: 0x02014b50, size: 46 };
const LOCAL = { mark: 0x04034b50, size: 30 };
const [STORED, DEFLATED] = [0, 8];
/** No bytes of deflate give more than so many. */
const LARGEST_RATIO = 1032;
const LARGEST_DIRECTORY = 2 ** 28;

/**
 * The files of a zip archive, ZIP64 included. What the directory claims is checked against the size of the
 * archive.
 *
 * @throws EspalierError `matrices/zip` on what is not sound, encrypted, or compressed otherwise than by deflate.
 */
export async function readZip(source: ByteSource): Promise<readonly ZipEntry[]> {
  const { begin, size, count } = await findDirectory(source);
  if (begin + size > source.size || size > LARGEST_DIRECTORY)
    throw invalidZipError('its directory lies outside of it');
  const bytes = viewOf(await source.read(begin, begin + size));
  const entries: ZipEntry[] = [];
  for (let at = 0; at < size;) {
    const entry = readEntry(source, bytes, at);
    entries.push(entry.entry);
    at = entry.next;
  }
  if (entries.length !== count)
    throw invalidZipError(`its directory has ${entries.length} files where it claims ${count}`);
  const names = new Set(entries.map(({ name }) => name));
  if (names.size !== entries.length) throw invalidZipError('it names a file twice');
  return entries;
}

interface Directory {
  readonly begin: number;
  readonly size: number;
  readonly count: number;
}

async function findDirectory(source: ByteSource): Promise<Directory> {
  const from = Math.max(0, source.size - END.size - END.longestComment);
  const tail = viewOf(await source.read(from, source.size));
  for (let at = tail.byteLength - END.size; at >= 0; at--) {
    if (tail.getUint32(at, true) !== END.mark) continue;
    const long = await findLongDirectory(source, from + at);
    if (long) return long;
    return {
      count: tail.getUint16(at + 10, true),
      size: tail.getUint32(at + 12, true),
      begin: tail.getUint32(at + 16, true),
    };
  }
  throw invalidZipError('it has no directory (cut short?)');
}

/** What ZIP64 has in front of the end of an archive. */
async function findLongDirectory(source: ByteSource, end: number): Promise<Directory | undefined> {
  if (end < LOCATOR.size) return undefined;
  const locator = viewOf(await source.read(end - LOCATOR.size, end));
  if (locator.getUint32(0, true) !== LOCATOR.mark) return undefined;
  const at = readLong(locator, 8);
  if (at + END64.size > source.size) throw invalidZipError('its ZIP64 record lies outside of it');
  const record = viewOf(await source.read(at, at + END64.size));
  if (record.getUint32(0, true) !== END64.mark) throw invalidZipError('it has no ZIP64 record');
  return { count: readLong(record, 32), size: readLong(record, 40), begin: readLong(record, 48) };
}

function readEntry(source: ByteSource, bytes: DataView, at: number) {
  if (at + ENTRY.size > bytes.byteLength || bytes.getUint32(at, true) !== ENTRY.mark)
    throw invalidZipError(`byte ${at} of its directory is not the beginning of a file`);
  const [nameSize, extraSize, commentSize] = [28, 30, 32].map((k) => bytes.getUint16(at + k, true));
  const extra = at + ENTRY.size + nameSize!;
  const next = extra + extraSize! + commentSize!;
  if (next > bytes.byteLength) throw invalidZipError('its directory is cut short');
  const name = decodeName(bytes, at + ENTRY.size, nameSize!);
  const [size, packed, begin] = readSizes(bytes, at, extra, extraSize!, name);
  if (bytes.getUint16(at + 8, true) & 1) throw invalidZipError(`'${name}' is encrypted`);
  const method = bytes.getUint16(at + 10, true);
  const crc = bytes.getUint32(at + 16, true);
  const described = { name, size, packed, begin, method, crc };
  checkSizes(described, source.size);
  const open = () => openEntry(source, described);
  return { entry: { name, size, open }, next };
}

/** Sizes above 4 GiB are in an extra field, in this order, each only where it is needed. */
function readSizes(
  bytes: DataView,
  at: number,
  extra: number,
  extraSize: number,
  name: string,
): readonly [size: number, packed: number, begin: number] {
  let long = findField(bytes, extra, extra + extraSize, 1);
  const read = (place: number) => {
    const short = bytes.getUint32(at + place, true);
    if (short !== 0xffffffff) return short;
    if (!long || long.at + 8 > long.end) throw invalidZipError(`'${name}' has no ZIP64 sizes`);
    const value = readLong(bytes, long.at);
    long = { ...long, at: long.at + 8 };
    return value;
  };
  return [read(24), read(20), read(42)];
}

function findField(bytes: DataView, begin: number, end: number, id: number) {
  for (let at = begin; at + 4 <= end;) {
    const next = at + 4 + bytes.getUint16(at + 2, true);
    if (next > end) return undefined;
    if (bytes.getUint16(at, true) === id) return { at: at + 4, end: next };
    at = next;
  }
  return undefined;
}

interface Described {
  readonly name: string;
  readonly size: number;
  readonly packed: number;
  readonly begin: number;
  readonly method: number;
  readonly crc: number;
}

function checkSizes({ name, size, packed, begin, method }: Described, total: number): void {
  if (method !== STORED && method !== DEFLATED) {
    throw new EspalierError('matrices/zip', {
      problem: `'${name}' in the archive is compressed by another method than deflate`,
      received: method,
      fix: 'Pack the archive again without compression, or with deflate.',
    });
  }
  const most = method === STORED ? packed : packed * LARGEST_RATIO;
  const isWhole = method === DEFLATED || size === packed;
  if (begin + LOCAL.size + packed > total || size > most || !isWhole)
    throw invalidZipError(`'${name}' claims more bytes than the archive has`);
}

async function openEntry(source: ByteSource, entry: Described): Promise<ByteSource> {
  const { name, packed, begin, method } = entry;
  const local = viewOf(await source.read(begin, begin + LOCAL.size));
  if (local.getUint32(0, true) !== LOCAL.mark)
    throw invalidZipError(`'${name}' is not where it should be`);
  const start = begin + LOCAL.size + local.getUint16(26, true) + local.getUint16(28, true);
  if (start + packed > source.size) throw invalidZipError(`'${name}' is cut short`);
  const raw = sliceSource(source, start, packed);
  if (method === STORED) return raw;
  return inflatedSource(raw, entry, (problem, cause) =>
    invalidZipError(`'${name}' ${problem}`, cause),
  );
}

function readLong(bytes: DataView, at: number): number {
  const value = Number(bytes.getBigUint64(at, true));
  if (Number.isSafeInteger(value)) return value;
  throw invalidZipError('it claims a size beyond all files');
}

function decodeName(bytes: DataView, at: number, size: number): string {
  return new TextDecoder().decode(new Uint8Array(bytes.buffer, bytes.byteOffset + at, size));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function invalidZipError(problem: string, cause?: unknown): EspalierError {
  return new EspalierError('matrices/zip', {
    problem: `this is not a sound zip archive: ${problem}`,
    fix: 'Take another copy of the file, or write it again.',
    cause,
  });
}

/** Whether a file begins as zip archives do. */
export async function isZip(source: ByteSource): Promise<boolean> {
  const start = await readStart(source, 4);
  return start.length === 4 && [0x04034b50, 0x06054b50].includes(viewOf(start).getUint32(0, true));
}
