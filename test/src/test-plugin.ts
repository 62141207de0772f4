import type { BackendName } from '@espalier/backend';
import { beforeAll, describe, test } from 'vitest';
import { checkTrainsAlone } from './checks/alone.js';
import { checkAttribution } from './checks/attribution.js';
import { checkDeterminism } from './checks/determinism.js';
import { checkEffectsDeclared } from './checks/effects.js';
import { checkLeaks } from './checks/leaks.js';
import { checkOptions } from './checks/options.js';
import { checkPairing } from './checks/pairing.js';
import { checkRandom } from './checks/random.js';
import { checkReplay } from './checks/replay.js';
import { checkResume } from './checks/resume.js';
import { checkTransform } from './checks/transform.js';
import { backendsUnderTest, onBackend } from './backends.js';
import type { AnyFactory, Case, Subject } from './subject.js';

const ALONE = 'trains alone';

/** Every conformance check by name; each can be run alone on a {@link Subject}. */
export const CHECKS: Readonly<Record<string, (subject: Subject) => Promise<void>>> = {
  [ALONE]: checkTrainsAlone,
  options: checkOptions,
  'declared effects': checkEffectsDeclared,
  determinism: checkDeterminism,
  'random draws': checkRandom,
  replay: checkReplay,
  resume: checkResume,
  leaks: checkLeaks,
  attribution: checkAttribution,
  pairing: checkPairing,
  transform: checkTransform,
};

/** How to test. */
export interface TestPluginOptions {
  /** Default {@link backendsUnderTest}. */
  readonly backends?: readonly BackendName[];
}

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
  { backends = backendsUnderTest() }: TestPluginOptions = {},
): void {
  describe.each([...backends])(`plugin ${factory.definition.id} on %s`, (backend) => {
    beforeAll(() => onBackend(backend));
    describe.each([...cases])('$name', (each) => {
      const subject = { ...each, factory };
      let fails = false;
      test(ALONE, ({ onTestFailed }) => {
        fails = false;
        onTestFailed(() => void (fails = true));
        return checkTrainsAlone(subject);
      });
      test.for(Object.keys(CHECKS).filter((check) => check !== ALONE))('%s', (check, { skip }) => {
        skip(fails, `the plugin fails alone: see '${ALONE}'`);
        return CHECKS[check]!(subject);
      });
    });
  });
}
