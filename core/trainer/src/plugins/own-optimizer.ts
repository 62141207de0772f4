import { EspalierError } from '@espalier/base';
import type { NamedTensors } from '@espalier/base';
import type { GradientTransform } from '@espalier/optim';
import { OwnClaim } from '../loop/own-claims.js';
import { isTransform } from '../loop/run-optimizer.js';
import type { Run } from '../run.js';
import { allows } from './effects.js';
import type { OwnOptimizer, Plugin } from './plugin.js';

/** What `ctx.optimizeWith` was given. */
interface Given {
  readonly patterns: readonly string[];
  readonly transform: GradientTransform;
}

/** Gives parameters an optimizer of the plugin's own. */
export function addOwnOptimizer(
  plugin: Plugin,
  run: Run,
  { patterns, transform }: Given,
): OwnOptimizer {
  const twice = run.optimizer.claims.some((claim) => claim.plugin === plugin.id);
  if (twice || !Array.isArray(patterns) || !isTransform(transform)) {
    throw new EspalierError('plugin/optimizer', {
      problem: 'ctx.optimizeWith is called once, with a list of paths and an optimizer',
      received: twice ? 'a second call' : [patterns, transform],
      fix: 'For example ctx.optimizeWith([`${ctx.id}:*`], adam({ learningRate: 1e-3 })); several optimizers are one: byGroup({ … }, (path) => …).',
    });
  }
  const claim = new OwnClaim(plugin.id, patterns, transform, (path) => mayMove(plugin, path));
  run.optimizer.add(claim);
  return createHandle(run, claim);
}

/** The optimizer that a plugin has for all of these parameters, if one has. */
export function findOwnOptimizer(
  plugin: Plugin,
  run: Run,
  paths: readonly string[],
): OwnOptimizer | undefined {
  const claims = paths.map((path) => run.optimizer.findClaim(path));
  const [claim] = claims;
  const other = claims.findIndex((each) => each !== claim);
  if (other >= 0) throw splitError([paths[0]!, claim], [paths[other]!, claims[other]]);
  if (!claim) return undefined;
  const closed = paths.find((path) => !mayMove(plugin, path));
  if (closed === undefined) return createHandle(run, claim);
  throw new EspalierError('effects/undeclared', {
    problem: `this plugin may not make steps with the optimizer of '${closed}': it declares no such effect`,
    fix: `Declare effects: { 'weights:${closed}': 'modify' }.`,
  });
}

function mayMove({ id, effects }: Plugin, path: string): boolean {
  const modes = ['add', 'modify', 'replace', 'own'] as const;
  return path.startsWith(`${id}:`) || allows(effects, `weights:${path}`, modes);
}

function createHandle(run: Run, claim: OwnClaim): OwnOptimizer {
  const find = () => run.optimizer.parts.find((part) => part.claim === claim);
  return {
    plugin: claim.plugin,
    get name() {
      return find()?.name ?? claim.transform.name;
    },
    get paths() {
      return find()?.paths ?? [];
    },
    get steps() {
      return claim.steps;
    },
    step(gradients) {
      const paths = find()?.paths ?? [];
      refuseForeign(claim, gradients, paths);
      run.stepOwn(claim, gradients);
    },
    restart() {
      run.optimizer.restart(claim);
      run.assignments += 1;
    },
  };
}

function refuseForeign(
  { plugin }: OwnClaim,
  gradients: NamedTensors,
  paths: readonly string[],
): void {
  const given = Object.keys(gradients);
  const foreign = given.find((path) => !paths.includes(path));
  if (foreign === undefined && given.length > 0) return;
  throw new EspalierError('optim/not-own', {
    problem:
      foreign === undefined
        ? `a step of the optimizer of plugin '${plugin}' got no gradient`
        : `the optimizer of plugin '${plugin}' does not move '${foreign}'`,
    received: given,
    fix: paths.length > 0 ? `It moves ${paths.join(', ')}.` : 'None of its parameters trains.',
  });
}

function splitError(
  ...[first, second]: readonly (readonly [path: string, claim: OwnClaim | undefined])[]
): EspalierError {
  const describe = ([path, claim]: readonly [string, OwnClaim | undefined]) =>
    `'${path}' is moved by ${claim ? `the optimizer of plugin '${claim.plugin}'` : "the run's optimizer"}`;
  return new EspalierError('optim/split', {
    problem: `these parameters have several optimizers: ${describe(first!)}, ${describe(second!)}`,
    fix: 'Name parameters of one optimizer.',
  });
}
