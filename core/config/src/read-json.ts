import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { EspalierError, readJson } from '@espalier/core';

/**
 * Reads a file of JSON in UTF-8, with a byte order mark or without.
 *
 * @throws EspalierError `config/config`, with line and column.
 */
export async function readJsonFile(file: string): Promise<unknown> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw unreadableFile(file, cause);
  });
  const text = new TextDecoder().decode(bytes);
  try {
    return readJson(text);
  } catch (cause) {
    throw new EspalierError('config/config', {
      problem: describeJsonError(file, text, cause as Error),
      cause,
    });
  }
}

/** @param cause Why the file, or what it imports, cannot be read. */
export function unreadableFile(file: string, cause: unknown): EspalierError {
  const message = cause instanceof Error ? cause.message : String(cause);
  const problem = `${basename(file)} cannot be read: ${message}`;
  return new EspalierError('config/config', { problem, cause });
}

function describeJsonError(file: string, text: string, { message }: Error): string {
  const before = text.slice(0, findPosition(text, message)).split('\n');
  const what = message.replace(/ in JSON at position .*|, (\.{3})?".* is not valid JSON$/s, '');
  const said = what.replaceAll('\n', '\\n');
  return `${basename(file)} is not valid JSON at line ${before.length}, column ${before.at(-1)!.length + 1}: ${said}`;
}

const UNEXPECTED = 'Unexpected token';

/** Where parsing failed. For an unexpected token, Node gives no position: it ends the shortest text that has it. */
function findPosition(text: string, message: string): number {
  const position = /at position (\d+)/.exec(message)?.[1];
  if (position !== undefined) return Number(position);
  if (!message.startsWith(UNEXPECTED)) return text.length;
  let [without, end] = [0, text.length];
  while (end - without > 1) {
    const middle = (without + end) >>> 1;
    if (findFailure(text.slice(0, middle)).startsWith(UNEXPECTED)) end = middle;
    else without = middle;
  }
  return without;
}

function findFailure(text: string): string {
  try {
    JSON.parse(text);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}
