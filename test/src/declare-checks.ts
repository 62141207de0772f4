import type { BackendName } from '@espalier/backend';
import { beforeAll, describe, test } from 'vitest';
import { backendsUnderTest, onBackend } from './backends.js';
import type { Subject } from './subject.js';

/** The check that comes first. */
export const ALONE = 'trains alone';

/** What these find depends on no backend: the first of several is enough. */
const ON_ONE_BACKEND: readonly string[] = [
  'options',
  'targets',
  'attribution',
  'building on others',
  'structure changes',
  'pairing',
];

/** Checks by name. */
export type Checks<S extends Subject> = Readonly<Record<string, (subject: S) => Promise<void>>>;

/** How to test. */
export interface DeclareOptions {
  /** Default {@link backendsUnderTest}. */
  readonly backends?: readonly BackendName[];
}

/**
 * Declares a test per check, case and backend. Where a subject does not train alone, its other checks
 * are skipped.
 */
export function declareChecks<S extends Subject>(
  kind: 'plugin' | 'preset',
  name: string,
  checks: Checks<S>,
  subjects: readonly S[],
  { backends = backendsUnderTest() }: DeclareOptions,
): void {
  describe.each([...backends])(`${kind} ${name} on %s`, (backend) => {
    beforeAll(() => onBackend(backend));
    describe.each([...subjects])('$name', (subject) => {
      let fails = false;
      test(ALONE, ({ onTestFailed }) => {
        fails = false;
        onTestFailed(() => void (fails = true));
        return checks[ALONE]!(subject);
      });
      const rest = Object.keys(checks)
        .filter((check) => check !== ALONE)
        .filter((check) => backend === backends[0] || !ON_ONE_BACKEND.includes(check));
      test.for(rest)('%s', (check, { skip }) => {
        skip(fails, `the ${kind} fails alone: see '${ALONE}'`);
        return checks[check]!(subject);
      });
    });
  });
}
