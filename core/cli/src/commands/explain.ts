import { loadConfig, listStages, withSession } from '@espalier/config';
import type { LoadedConfig } from '@espalier/config';
import type { Session } from '@espalier/core';
import { print } from '../print.js';

/** Options of `espalier explain`. */
export interface ExplainOptions {
  readonly set: readonly string[];
}

/** Prints which plugins use a hook (or every hook), in which order and why, and when transforms run. */
export async function explain(
  path: string,
  hook: string | undefined,
  { set }: ExplainOptions,
): Promise<void> {
  const loaded = await loadConfig(path, set);
  const text = await withSession(loaded, async (session) => {
    const lines = hook === undefined || hook === 'transform' ? transforms(session, loaded) : [];
    return [session.explain(hook), ...lines].join('\n');
  });
  print(text);
}

/** In which stage each plugin's transform runs. */
function transforms({ untransformed }: Session, loaded: LoadedConfig): readonly string[] {
  const { epochs, stages: written } = loaded.settings;
  const stages = epochs === undefined && !written ? [] : listStages(loaded);
  const lines = untransformed.map((id) => {
    const at = stages.flatMap((stage, i) => {
      const runs =
        'transform' in stage && (stage.transform === true || stage.transform.includes(id));
      return runs ? [i + 1] : [];
    });
    const when = at.length > 0 ? `in stage ${at.join(' and ')}` : 'never: no stage names it';
    return `  ${id}: ${when}`;
  });
  return lines.length > 0 ? ['\ntransforms run', ...lines] : [];
}
