import { checkTrainsAlone } from './checks/alone.js';
import { checkAttribution } from './checks/attribution.js';
import { checkBuildsOn } from './checks/build-on.js';
import { checkDeterminism } from './checks/determinism.js';
import { checkEffectsDeclared } from './checks/effects.js';
import { checkLeaks } from './checks/leaks.js';
import { checkOptions } from './checks/options.js';
import { checkPairing } from './checks/pairing.js';
import { checkRandom } from './checks/random.js';
import { checkReplay } from './checks/replay.js';
import { checkResume } from './checks/resume.js';
import { checkStructureChanges } from './checks/structure.js';
import { checkTargets } from './checks/targets.js';
import { checkTransform } from './checks/transform.js';
import { ALONE, declareChecks } from './declare-checks.js';
import type { Checks, DeclareOptions } from './declare-checks.js';
import type { AnyFactory, Case, PluginSubject } from './subject.js';

/** Every conformance check of a plugin by name; each can be run alone. */
export const CHECKS: Checks<PluginSubject> = {
  [ALONE]: checkTrainsAlone,
  options: checkOptions,
  'declared effects': checkEffectsDeclared,
  'building on others': checkBuildsOn,
  targets: checkTargets,
  determinism: checkDeterminism,
  'random draws': checkRandom,
  replay: checkReplay,
  resume: checkResume,
  leaks: checkLeaks,
  attribution: checkAttribution,
  pairing: checkPairing,
  transform: checkTransform,
  'structure changes': checkStructureChanges,
};

/** How to test. */
export type TestPluginOptions = DeclareOptions;

/**
 * Declares vitest tests of everything that a plugin promises: one test per check, case and backend.
 * Where a plugin does not train alone, the other checks could only say so again, and are skipped.
 *
 * @example
 * testPlugin(confidencePenalty, [{ name: 'defaults' }, { name: 'strong', options: { weight: 1 } }]);
 */
export function testPlugin(
  factory: AnyFactory,
  cases: readonly Case[] = [{ name: 'defaults' }],
  options: TestPluginOptions = {},
): void {
  const subjects = cases.map((each) => ({ ...each, factory }));
  declareChecks('plugin', factory.definition.id, CHECKS, subjects, options);
}
