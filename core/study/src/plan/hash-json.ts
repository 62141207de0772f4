import { createHash } from 'node:crypto';
import { canonicalJson } from '@espalier/core';

/** SHA-256 of plain data, as hex. The order of keys does not matter. */
export function hashJson(data: unknown): string {
  return createHash('sha256').update(canonicalJson(data)).digest('hex');
}
