import { join } from 'node:path';
import { expect, test } from 'vitest';
import { root } from '../packages/workspaces.mjs';
import { listErrorCauses } from './sources/error-codes.js';
import type { ErrorCause } from './sources/error-codes.js';

const causes = listErrorCauses();

test('every code can be read from the source', () => {
  const wellFormed = /^(‹plugin›|[a-z][a-z\d-]*)\/[a-z][a-z\d-]*$/;
  const unreadable = causes.filter(({ code }) => !wellFormed.test(code));
  expect(unreadable, 'write the code as a literal, or give it to a named function as one').toEqual(
    [],
  );
});

// `vitest -u` writes the page.
test('the page of error codes is up to date', async () => {
  await expect(makePage()).toMatchFileSnapshot(join(root, 'core/base/ERRORS.md'));
});

function makePage(): string {
  const groups = new Map<string, ErrorCause[]>();
  for (const cause of causes) {
    groups.set(cause.package, [...(groups.get(cause.package) ?? []), cause]);
  }
  const sections = [...groups]
    .sort(([a], [b]) => compare(a, b))
    .map(([name, own]) => `## ${name}\n\n${makeSection(own)}`);
  const count = new Set(causes.map(({ code }) => code)).size;
  return `${intro(count)}\n\n${sections.join('\n\n')}\n`;
}

const intro = (count: number) => `# Error codes

Every error of Espalier is an \`EspalierError\`. Its message ends with a code in parentheses. The code is stable:
a program may test \`error.code\`. This page lists the ${count} codes by package, with what is wrong and what to
do. A name in ‹angle quotes› stands for a value of your run; \`‹plugin›\` in a code is the id of the plugin.

This page is generated from the sources by \`test/cross/error-codes.test.ts\`.`;

function makeSection(own: readonly ErrorCause[]): string {
  const codes = [...new Set(own.map(({ code }) => code))].sort(compare);
  return codes
    .map((code) => {
      const lines = own.filter((each) => each.code === code).map(makeLine);
      return `### \`${code}\`\n\n${[...new Set(lines)].sort(compare).join('\n')}`;
    })
    .join('\n\n');
}

const makeLine = ({ problem, remedy }: ErrorCause) =>
  `- ${escape(endSentence(problem))}${remedy && ` ${escape(remedy)}`}`;

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
const endSentence = (text: string) => (/[.?!]$/.test(text) ? text : `${text}.`);
const escape = (text: string) => text.replaceAll(/\s+/g, ' ').replaceAll(/[*_<>`[\]|]/g, '\\$&');
