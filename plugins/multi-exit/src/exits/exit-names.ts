/** The name of an auxiliary exit, counted from 1 at the shallowest. */
export function nameExit(number: number): string {
  return `exit_${number}`;
}

/**
 * How deep an output is among exits: auxiliary ones of `multiExit` by their number, all others behind
 * them. What an exit costs says nothing of that: a wide branch, or an end that was compressed, may
 * turn the order around.
 */
export function rankExit(name: string): number {
  const number = Number(/^exit_([1-9]\d*)$/.exec(name)?.[1]);
  return Number.isNaN(number) ? Infinity : number;
}
