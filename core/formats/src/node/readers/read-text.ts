import { readFile } from 'node:fs/promises';
import { fileError } from '@espalier/base';

/**
 * Text of a file in UTF-8, without the byte order mark that may stand in front.
 *
 * @throws EspalierError `matrices/file`.
 */
export async function readText(path: string): Promise<string> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw fileError('matrices/file', `cannot read ${path}`, cause);
  });
  return new TextDecoder().decode(bytes);
}
