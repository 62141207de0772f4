import type { BackendName } from '@espalier/backend';
import type { Effects, PluginFactory } from '@espalier/core';
import { beforeAll, describe, test } from 'vitest';
import type { ZodType } from 'zod';
import { checkAttribution } from './checks/attribution.js';
import { checkDeterminism } from './checks/determinism.js';
import { checkEffectsDeclared } from './checks/effects.js';
import { checkLeaks } from './checks/leaks.js';
import { checkOptions } from './checks/options.js';
import { checkPairing } from './checks/pairing.js';
import { checkReplay } from './checks/replay.js';
import { checkResume } from './checks/resume.js';
import { backendsUnderTest, onBackend } from './backends.js';
import type { Case, Subject } from './subject.js';

/** Every conformance check by name; each can be run alone on a {@link Subject}. */
export const CHECKS: Readonly<Record<string, (subject: Subject) => Promise<void>>> = {
  options: checkOptions,
  'declared effects': checkEffectsDeclared,
  determinism: checkDeterminism,
  replay: checkReplay,
  resume: checkResume,
  leaks: checkLeaks,
  attribution: checkAttribution,
  pairing: checkPairing,
};

/** How to test. */
export interface TestPluginOptions {
  /** Default {@link backendsUnderTest}. */
  readonly backends?: readonly BackendName[];
}

/**
 * Declares vitest tests of everything that a plugin promises: one test per check, case and backend.
 *
 * @example
 * testPlugin(confidencePenalty, [{ name: 'defaults' }, { name: 'strong', options: { weight: 1 } }]);
 */
export function testPlugin<S extends ZodType, E extends Effects>(
  factory: PluginFactory<S, E>,
  cases: readonly Case[] = [{ name: 'defaults' }],
  { backends = backendsUnderTest() }: TestPluginOptions = {},
): void {
  describe.each([...backends])(`plugin ${factory.definition.id} on %s`, (backend) => {
    beforeAll(() => onBackend(backend));
    describe.each([...cases])('$name', (each) => {
      // Cases hold options as data, right or wrong: the checks see a factory of unknown options.
      const subject = { ...each, factory: factory as unknown as PluginFactory };
      test.each(Object.keys(CHECKS))('%s', (check) => CHECKS[check]!(subject));
    });
  });
}
