/** What a schedule counts in steps. */
const LENGTHS = ['steps', 'every', 'milestones'];

/** Settings that stretch the schedules in an optimizer's options, as data, for a run of another length. */
export function stretchStages(
  options: unknown,
  factor: number,
  path = 'optimizer.options',
): string[] {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) return [];
  return Object.entries(options).flatMap(([key, value]: [string, unknown]) => {
    const at = `${path}.${key}`;
    if (!('schedule' in options) || !LENGTHS.includes(key)) return stretchStages(value, factor, at);
    return [`${at}=${JSON.stringify(atEpoch(value, factor))}`];
  });
}

function atEpoch(steps: unknown, factor: number): unknown {
  return Array.isArray(steps)
    ? steps.map((each) => atEpoch(each, factor))
    : Math.max(1, Math.round((steps as number) * factor));
}
