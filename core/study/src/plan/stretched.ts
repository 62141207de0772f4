/** What a schedule counts in steps. */
const LENGTHS = ['steps', 'every', 'milestones'];

/** Settings that stretch the schedules in an optimizer's options, as data, for a run of another length. */
export function stretched(options: unknown, factor: number, path = 'optimizer.options'): string[] {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) return [];
  return Object.entries(options).flatMap(([key, value]: [string, unknown]) => {
    const at = `${path}.${key}`;
    if (!('schedule' in options) || !LENGTHS.includes(key)) return stretched(value, factor, at);
    return [`${at}=${JSON.stringify(timed(value, factor))}`];
  });
}

function timed(steps: unknown, factor: number): unknown {
  return Array.isArray(steps)
    ? steps.map((each) => timed(each, factor))
    : Math.round((steps as number) * factor);
}
