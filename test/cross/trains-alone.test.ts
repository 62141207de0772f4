import { CHECKS } from '@espalier/testkit';
import { expect, test } from 'vitest';
import { startVitest } from 'vitest/node';

const [first, ...others] = Object.keys(CHECKS);

test('a plugin that does not train fails one test per case, and the others say why they skip', async () => {
  const conditions = ['@espalier/source', 'node', 'import', 'module', 'default'];
  const vitest = await startVitest(
    'test',
    [],
    {
      config: false,
      watch: false,
      include: ['test/cross/fixtures/broken-plugin.ts'],
      reporters: [{}],
    },
    { resolve: { conditions }, ssr: { resolve: { conditions } } },
  );
  const exitCode = process.exitCode;
  const tests = vitest.state.getTestModules().flatMap((module) => [...module.children.allTests()]);
  await vitest.close();
  process.exitCode = undefined;

  const outcomes = (name: string) =>
    tests
      .filter(({ fullName }) => fullName.includes(`'${name}'`))
      .map((each) => {
        const result = each.result();
        return [each.name, result.state, result.state === 'skipped' ? result.note : undefined];
      });
  expect(exitCode).toBe(1);
  expect(outcomes('fails')).toEqual([
    [first, 'failed', undefined],
    ...others.map((check) => [check, 'skipped', `the plugin fails alone: see '${first}'`]),
  ]);
  expect(outcomes('works')).toEqual(
    Object.keys(CHECKS).map((check) => [check, 'passed', undefined]),
  );
});
