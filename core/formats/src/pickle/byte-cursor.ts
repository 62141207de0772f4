import { invalidPickleError } from './pickle-error.js';

const NEWLINE = 0x0a;

/** Reads values one after the other, never beyond the end. */
export class ByteCursor {
  at = 0;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get left(): number {
    return this.#bytes.length - this.at;
  }

  readUint8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  readUint16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  readUint32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  readInt32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }

  readUint64(): number {
    return Number(this.#view.getBigUint64(this.#take(8), true));
  }

  /** Big-endian, as pickles have floats. */
  readFloat64(): number {
    return this.#view.getFloat64(this.#take(8), false);
  }

  readBytes(size: number): Uint8Array {
    const begin = this.#take(size);
    return this.#bytes.subarray(begin, begin + size);
  }

  readText(size: number): string {
    const begin = this.at;
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
        this.readBytes(size),
      );
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      throw invalidPickleError('there is no UTF-8', begin);
    }
  }

  readLine(): string {
    const end = this.#bytes.indexOf(NEWLINE, this.at);
    if (end < 0) throw invalidPickleError('it ends inside a line', this.at);
    const text = this.readText(end - this.at);
    this.at = end + 1;
    return text;
  }

  #take(size: number): number {
    const begin = this.at;
    if (size > this.left) throw invalidPickleError('it is cut short', begin);
    this.at += size;
    return begin;
  }
}
