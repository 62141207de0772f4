import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onBackend } from '@espalier/testkit';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';

const page = fileURLToPath(new URL('../MIGRATION.md', import.meta.url));
const text = await readFile(page, 'utf8');

/** Code of the page: the first block comes before each of the others, which have the heading above for a name. */
const [preamble, ...blocks] = [...text.matchAll(/^```js\n(.*?)^```/gms)].map((found) => ({
  code: found[1]!,
  name: nameOf(found.index),
}));

function nameOf(position: number): string {
  const headings = [...text.slice(0, position).matchAll(/^#+ (.*)$/gm)];
  return headings.at(-1)![1]!;
}

const folder = await mkdtemp(fileURLToPath(new URL('./.migration-', import.meta.url)));
afterAll(() => rm(folder, { recursive: true }));
beforeAll(async () => {
  await onBackend('cpu');
  // What users import as one package are two here.
  const union = ['core', 'layers'].map((part) => `export * from '@tensorflow/tfjs-${part}';`);
  await writeFile(join(folder, 'tfjs.ts'), union.join('\n'));
});

/** `console.log(…); // what it prints`, line by line. */
const promised = (code: string) =>
  [...code.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map(([, printed]) => printed!);

test('the page has code for every section', () => {
  expect(blocks.length).toBeGreaterThan(20);
});

test('every link of the page leads somewhere', async () => {
  const links = [...text.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g)];
  expect(links.length).toBeGreaterThan(20);
  const missing: string[] = [];
  for (const [link, path = '', anchor] of links) {
    const file = path === '' ? page : fileURLToPath(new URL(`../${path}`, import.meta.url));
    const target = await readFile(/\.\w+$/.test(file) ? file : join(file, 'README.md'), 'utf8');
    if (anchor !== undefined && !listAnchors(target).includes(anchor)) missing.push(link);
  }
  expect(missing).toEqual([]);
});

/** Of the headings of a page, as GitHub names them. */
function listAnchors(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  );
}

test.each(blocks.map((block, i) => [block.name, i + 1, block.code] as const))(
  '%s, block %d, runs and prints what it says',
  async (_, number, code) => {
    const printed: string[] = [];
    const log = vi.spyOn(console, 'log').mockImplementation((...given: unknown[]) => {
      printed.push(given.join(' '));
    });
    const file = join(folder, `block-${number}.js`);
    const whole = `${preamble!.code}\n${code}`;
    await writeFile(file, whole.replaceAll("'@tensorflow/tfjs'", "'./tfjs.js'"));
    try {
      await import(file);
    } finally {
      log.mockRestore();
    }
    expect(printed).toEqual(promised(code));
  },
);
