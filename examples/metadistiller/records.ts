/** Results that a command adds to, one line of JSON for each run: what is there is not run again. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';

/** The settings of a run, by name. */
export type Setting = Readonly<Record<string, string | number>>;

/** A run: its settings, what was measured, and where. */
export type Recorded<S extends Setting> = S & { readonly machine: string } & Readonly<
    Record<string, number>
  >;

/**
 * Runs those settings that a file has no line of yet, in order, and adds a line after each.
 *
 * @param path The file, in JSON lines.
 * @param machine Noted with each run.
 * @param run Measures one setting.
 * @returns the lines of all settings.
 */
export async function runMissing<S extends Setting>(
  path: string,
  machine: string,
  settings: readonly S[],
  run: (setting: S) => Promise<Readonly<Record<string, number>>>,
): Promise<readonly Recorded<S>[]> {
  const found: Recorded<S>[] = [];
  for (const [i, setting] of settings.entries()) {
    const known = read<S>(path).find((line) => agrees(line, setting));
    if (!known) {
      const line = { ...setting, ...(await run(setting)), machine };
      appendFileSync(path, `${JSON.stringify(line)}\n`);
      console.error(`${i + 1} of ${settings.length}: ${JSON.stringify(line)}`);
    }
    found.push(known ?? read<S>(path).find((line) => agrees(line, setting))!);
  }
  return found;
}

function read<S extends Setting>(path: string): readonly Recorded<S>[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line) as Recorded<S>);
}

function agrees(line: Setting, setting: Setting): boolean {
  return Object.entries(setting).every(([name, value]) => line[name] === value);
}
