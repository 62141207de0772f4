/** Results that a command adds to, one line of JSON for each run: what is there is not run again. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { EspalierError } from '@espalier/core';

/** The settings of a run, by name. */
export type Setting = Readonly<Record<string, string | number>>;

/** A run: its settings, the numbers that were measured, and where. */
export type Recorded<S extends Setting, M extends string> = S &
  Readonly<Record<M, number>> & { readonly machine: string };

/**
 * Runs those settings that a file has no line of yet, in order, and adds a line after each.
 *
 * @param path The file, in JSON lines.
 * @param machine Noted with each run.
 * @param run Measures one setting.
 * @returns the lines of all settings.
 * @throws EspalierError `metadistiller/results`: a line that is no JSON.
 */
export async function runMissing<S extends Setting, M extends string>(
  path: string,
  machine: string,
  settings: readonly S[],
  run: (setting: S) => Promise<Readonly<Record<M, number>>>,
): Promise<readonly Recorded<S, M>[]> {
  const known = readLines<Recorded<S, M>>(path);
  const found: Recorded<S, M>[] = [];
  for (const [i, setting] of settings.entries()) {
    const before = known.find((line) => agrees(line, setting));
    const line = before ?? { ...setting, ...(await run(setting)), machine };
    if (!before) {
      appendFileSync(path, `${JSON.stringify(line)}\n`);
      console.error(`${i + 1} of ${settings.length}: ${JSON.stringify(line)}`);
    }
    found.push(line);
  }
  return found;
}

function readLines<T>(path: string): readonly T[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean);
  return lines.map((line, i) => parseLine<T>(line, `${path}, line ${i + 1}`));
}

function parseLine<T>(line: string, place: string): T {
  try {
    return JSON.parse(line) as T;
  } catch (cause) {
    throw new EspalierError('metadistiller/results', {
      problem: `${place} is no JSON: a command was killed while it wrote it`,
      fix: 'Delete that line.',
      cause,
    });
  }
}

function agrees(line: Setting, setting: Setting): boolean {
  return Object.entries(setting).every(([name, value]) => line[name] === value);
}
