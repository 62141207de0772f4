import { loadConfig, withSession } from '@espalier/config';

/** Options of `espalier explain`. */
export interface ExplainOptions {
  readonly set: readonly string[];
}

/** Prints who taps a hook (or every hook), in which order and why. */
export async function explain(
  path: string,
  hook: string | undefined,
  { set }: ExplainOptions,
): Promise<void> {
  const loaded = await loadConfig(path, set);
  const text = await withSession(loaded, async (session) => session.explain(hook));
  process.stdout.write(`${text}\n`);
}
