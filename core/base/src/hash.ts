import { EspalierError } from './error.js';

/**
 * SHA-256 as lower-case hex, through the platform's WebCrypto (Node ≥ 20; browsers on https or
 * localhost).
 *
 * @throws EspalierError `hash/no-webcrypto` where the platform has none.
 * @example
 * await sha256Hex(new TextEncoder().encode('abc')); // 'ba7816bf…'
 */
export async function sha256Hex(bytes: Uint8Array): Promise<string> {
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) {
    throw new EspalierError('hash/no-webcrypto', {
      problem: 'this page has no WebCrypto, which checksums need',
      fix: 'Serve it from https or localhost.',
    });
  }
  const own = bytes.buffer instanceof ArrayBuffer ? bytes : bytes.slice(); // shared memory is refused
  const digest = new Uint8Array(await subtle.digest('SHA-256', own as Uint8Array<ArrayBuffer>));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
