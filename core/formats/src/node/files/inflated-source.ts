import { pipeline, Readable } from 'node:stream';
import { crc32, createInflateRaw } from 'node:zlib';
import type { InflateRaw } from 'node:zlib';
import type { EspalierError } from '@espalier/base';
import type { ByteSource } from './byte-source.js';

const CHUNK = 2 ** 18;

type Bytes = Uint8Array<ArrayBuffer>;
/** What an archive says of a file. */
export interface InflatedClaims {
  readonly size: number;
  readonly crc: number;
}

type MakeError = (problem: string, cause?: unknown) => EspalierError;

/**
 * Deflated bytes as a source. Reading goes on where the last read ended; going back begins again at the start. What is
 * decompressed is held for one read only.
 *
 * @param claims Size and checksum of the bytes once decompressed.
 */
export function inflatedSource(
  packed: ByteSource,
  claims: InflatedClaims,
  makeError: MakeError,
): ByteSource {
  let run = new InflateRun(packed, claims, makeError);
  let last: Promise<unknown> = Promise.resolve();
  const read = async (begin: number, end: number) => {
    if (begin < run.position) {
      run.stop();
      run = new InflateRun(packed, claims, makeError);
    }
    return run.read(begin, end);
  };
  return {
    size: claims.size,
    // One read after the other: they share a position.
    read(begin, end) {
      const next = last.then(() => read(begin, end));
      last = next.catch(() => undefined);
      return next;
    },
  };
}

/** One way through deflated bytes, from the start. */
class InflateRun {
  position = 0;
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #stream: InflateRaw;
  readonly #claims: InflatedClaims;
  readonly #makeError: MakeError;
  #rest: Bytes = new Uint8Array(0);
  #crc = 0;

  constructor(packed: ByteSource, claims: InflatedClaims, makeError: MakeError) {
    this.#stream = createInflateRaw({ chunkSize: CHUNK });
    // The iterator throws what fails; the callback is there because `pipeline` needs one.
    pipeline(Readable.from(readChunks(packed)), this.#stream, () => undefined);
    this.#chunks = (this.#stream as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
    this.#claims = claims;
    this.#makeError = makeError;
  }

  stop(): void {
    this.#stream.destroy();
  }

  async read(begin: number, end: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(end - begin);
    while (this.position < end) {
      if (this.#rest.length === 0) this.#rest = await this.#next();
      const skip = Math.min(Math.max(0, begin - this.position), this.#rest.length);
      const used = Math.min(end - this.position, this.#rest.length);
      if (used > skip) bytes.set(this.#rest.subarray(skip, used), this.position + skip - begin);
      this.#rest = this.#rest.subarray(used);
      this.position += used;
    }
    if (end === this.#claims.size) await this.#checkEnd();
    return bytes;
  }

  async #next(): Promise<Bytes> {
    const value = await this.#nextChunk();
    if (!value) throw this.#makeError('decompresses to fewer bytes than it claims');
    this.#crc = crc32(value, this.#crc);
    return value;
  }

  async #checkEnd(): Promise<void> {
    if (this.#rest.length > 0 || (await this.#nextChunk()))
      throw this.#makeError('decompresses to more bytes than it claims');
    if (this.#crc !== this.#claims.crc)
      throw this.#makeError('decompresses to bytes of another checksum');
  }

  async #nextChunk(): Promise<Bytes | undefined> {
    try {
      const { value } = (await this.#chunks.next()) as { value?: Bytes };
      return value;
    } catch (cause) {
      throw this.#makeError('does not decompress', cause);
    }
  }
}

async function* readChunks(source: ByteSource): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < source.size; at += CHUNK)
    yield await source.read(at, Math.min(at + CHUNK, source.size));
}
