import { createHash } from 'node:crypto';

/** Between a text and its checksum: JSON never contains one. */
const SEPARATOR = '\t';

/**
 * JSON with a checksum behind it, by which {@link readChecked} finds every flipped bit.
 *
 * @param json Without a tab, as JSON is.
 */
export const addChecksum = (json: string): string => `${json}${SEPARATOR}${hash(json)}`;

/**
 * The JSON that {@link addChecksum} got. Texts of earlier releases have no checksum and are given back as they are.
 *
 * @throws TypeError for bytes that are no UTF-8; Error for a checksum that is another's.
 */
export function readChecked(bytes: Uint8Array): string {
  const text = new TextDecoder('utf8', { fatal: true }).decode(bytes);
  const end = text.lastIndexOf(SEPARATOR);
  if (end < 0) return text;
  const json = text.slice(0, end);
  if (hash(json) === text.slice(end + 1)) return json;
  throw new Error('its checksum is another');
}

const hash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);
