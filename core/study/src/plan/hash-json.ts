import { createHash } from 'node:crypto';
import { canonicalJson } from '@espalier/core';

/** SHA-256 of plain data, as hex: equal data have equal hashes, whatever the order of their keys. */
export function hashJson(data: unknown): string {
  return createHash('sha256').update(canonicalJson(data)).digest('hex');
}
