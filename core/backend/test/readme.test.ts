import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { gradientRepairs, kernelRepairs, unsafeSecondOrder } from '@espalier/backend';
import type { KernelRepair } from '@espalier/backend';
import { format, resolveConfig } from 'prettier';
import { expect, test } from 'vitest';

const readme = fileURLToPath(new URL('../README.md', import.meta.url));

const table = (...rows: readonly (readonly string[])[]): string =>
  rows
    .toSpliced(
      1,
      0,
      rows[0]!.map(() => '---'),
    )
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n');

/** ` (#649)`, with its address, where there is an issue. */
const link = (issue?: string) => (issue ? ` ([#${issue.split('/').at(-1)}](${issue}))` : '');

/** Kernels with the same defect and cure share a row. */
function kernels(): string {
  const key = ({ backends, kind, why }: KernelRepair) => [backends.join(), kind, why].join();
  const rows = [...new Set(kernelRepairs.map(key))].map((each) => {
    const alike = kernelRepairs.filter((repair) => key(repair) === each);
    const { backends, kind, why, issue } = alike[0]!;
    const names = alike.map(({ name }) => name).join(', ');
    return [names, backends.join(', '), kind, why + link(issue)];
  });
  return table(['kernel', 'on', 'was', 'what is wrong, and what stands there instead'], ...rows);
}

function gradients(): string {
  const rows = gradientRepairs.map(({ op, order, was, when, cure, backends, issue }) => [
    op,
    String(order),
    was + (backends ? `, on ${backends.join(', ')}` : ''),
    when + link(issue),
    cure,
  ]);
  return table(['gradient of', 'order', 'was', 'when', 'cure'], ...rows);
}

function unsafe(): string {
  const rows = unsafeSecondOrder.map(({ op, kind, why, instead }) => [op, kind, why, instead]);
  return table(['operation', 'second order', 'why', 'instead'], ...rows);
}

function withTables(text: string): string {
  return Object.entries({ kernels, gradients, unsafe }).reduce((filled, [name, make]) => {
    const [start, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
    const [before, rest] = filled.split(start);
    return `${before}${start}\n\n${make()}\n\n${end}${rest!.split(end)[1]}`;
  }, text);
}

// `vitest -u` writes the tables.
test('the README has every repair', async () => {
  const config = await resolveConfig(readme);
  const filled = withTables(await readFile(readme, 'utf8'));
  await expect(await format(filled, { ...config, parser: 'markdown' })).toMatchFileSnapshot(readme);
});
