import { EspalierError, matches } from '@espalier/base';
import type { GradientTransform } from '@espalier/optim';

/** Parameters that an optimizer of a plugin's own moves, and how many steps it has made. */
export class OwnClaim {
  steps = 0;

  /** `mayOwn` says whether the plugin may move a parameter. */
  constructor(
    readonly plugin: string,
    private readonly patterns: readonly string[],
    readonly transform: GradientTransform,
    private readonly mayOwn: (path: string) => boolean,
  ) {}

  /** @throws EspalierError `effects/undeclared` where the plugin may not move it. */
  covers(path: string): boolean {
    if (!matches(this.patterns, path)) return false;
    if (this.mayOwn(path)) return true;
    throw new EspalierError('effects/undeclared', {
      problem: `plugin '${this.plugin}' gives '${path}' an optimizer of its own: it is no parameter of its networks, and the plugin declares no such effect`,
      fix: `Declare effects: { 'weights:${path}': 'modify' }.`,
    });
  }

  get received(): readonly string[] {
    return this.patterns;
  }
}

/**
 * The claim that covers a parameter, if one does.
 *
 * @throws EspalierError `optim/two-owners`, `effects/undeclared`.
 */
export function findClaim(claims: readonly OwnClaim[], path: string): OwnClaim | undefined {
  const [first, second] = claims.filter((claim) => claim.covers(path));
  if (!first || !second) return first;
  throw new EspalierError('optim/two-owners', {
    problem: `the plugins '${first.plugin}' and '${second.plugin}' both give '${path}' an optimizer of their own`,
    fix: `Remove one (in a preset: { '${second.plugin}': false }), or narrow what it optimizes by an option.`,
  });
}

/** @throws EspalierError `optim/no-parameters`. */
export function refuseEmptyClaims(claims: readonly OwnClaim[], paths: readonly string[]): void {
  const empty = claims.find((claim) => !paths.some((path) => claim.covers(path)));
  if (!empty) return;
  throw new EspalierError('optim/no-parameters', {
    problem: `plugin '${empty.plugin}' has an optimizer of its own for parameters that are not there`,
    received: empty.received,
    fix: `The paths are ${paths.join(', ')}; '*' at the end stands for anything.`,
  });
}
