import type { BackendName } from '@espalier/backend';
import type { PluginFactory } from '@espalier/core';
import { beforeAll, describe, test } from 'vitest';
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
export function testPlugin(
  factory: PluginFactory,
  cases: readonly Case[] = [{ name: 'defaults' }],
  { backends = backendsUnderTest() }: TestPluginOptions = {},
): void {
  describe.each([...backends])(`plugin ${factory.definition.id} on %s`, (backend) => {
    beforeAll(() => onBackend(backend));
    describe.each([...cases])('$name', (each) => {
      test.each(Object.keys(CHECKS))('%s', (check) => CHECKS[check]!({ ...each, factory }));
    });
  });
}
