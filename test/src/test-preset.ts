import { checkTrainsAlone } from './checks/alone.js';
import { checkDeterminism } from './checks/determinism.js';
import { checkEffectsDeclared } from './checks/effects.js';
import { checkLeaks } from './checks/leaks.js';
import { checkPresetOptions } from './checks/options.js';
import { checkReplay } from './checks/replay.js';
import { checkResume } from './checks/resume.js';
import { checkTransform } from './checks/transform.js';
import { ALONE, declareChecks } from './declare-checks.js';
import type { Checks, DeclareOptions } from './declare-checks.js';
import type { AnyPreset, Case, PresetSubject } from './subject.js';

/** Every conformance check of a preset by name: those of plugins that can fail of plugins together. */
export const PRESET_CHECKS: Checks<PresetSubject> = {
  [ALONE]: checkTrainsAlone,
  options: checkPresetOptions,
  'declared effects': checkEffectsDeclared,
  determinism: checkDeterminism,
  replay: checkReplay,
  resume: checkResume,
  leaks: checkLeaks,
  transform: checkTransform,
};

/**
 * Declares vitest tests of what a preset promises, as `testPlugin` does for a plugin: its plugins run
 * together.
 *
 * @param preset The function that makes it.
 * @example
 * testPreset(byot, [{ name: 'paper' }, { name: 'hot', options: { temperature: 10 } }]);
 */
export function testPreset(
  preset: AnyPreset,
  cases: readonly Case[] = [{ name: 'defaults' }],
  options: DeclareOptions = {},
): void {
  const subjects = cases.map((each) => ({ ...each, preset }));
  declareChecks('preset', preset.name, PRESET_CHECKS, subjects, options);
}
