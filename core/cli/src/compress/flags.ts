import type { CompressOptions } from '@espalier/compress';
import { parseBytes } from '@espalier/compression';
import { EspalierError, suggest } from '@espalier/core';

/** The flags of `espalier compress` that decide what is compressed and how. */
export interface CompressFlags extends Pick<
  CompressOptions,
  'ratio' | 'maxError' | 'bits' | 'blocks' | 'layers' | 'objective' | 'tied'
> {
  /** A short name, or `module#export`. */
  readonly preset: string;
  readonly budget?: string;
  readonly counts?: string;
}

const PACKAGE = '@espalier/preset-group-reduce';
const SHORT: Readonly<Record<string, string>> = {
  'block-codes': 'blockCodes',
  'group-reduce': 'groupReduce',
  svd: 'svd',
  'weighted-svd': 'weightedSvd',
  'quantize-only': 'quantizeOnly',
  prune: 'prune',
};

/**
 * The module and export of a preset.
 *
 * @param name A short name, or already `module#export`.
 * @throws EspalierError `cli/unknown-name`.
 */
export function findPreset(name: string): string {
  if (Object.hasOwn(SHORT, name)) return `${PACKAGE}#${SHORT[name]}`;
  if (/[#/.@]/.test(name)) return name;
  throw new EspalierError('cli/unknown-name', {
    problem: `there is no preset '${name}'`,
    fix: `${suggest(name, Object.keys(SHORT))} Another one: 'module#export'.`,
  });
}

/**
 * `--budget` in bytes.
 *
 * @throws EspalierError `cli/compress`.
 */
export function readBudget(budget: string | undefined): number | undefined {
  if (budget === undefined) return undefined;
  const bytes = parseBytes(budget);
  if (bytes !== undefined) return bytes;
  throw new EspalierError('cli/compress', {
    problem: '--budget must be a size',
    received: budget,
    fix: 'Give bytes, or a number with a unit: --budget 10MB.',
  });
}
