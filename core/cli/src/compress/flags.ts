import { parseBytes } from '@espalier/compression';
import { EspalierError, suggest } from '@espalier/core';

/** How small, or how close, the matrices shall become. */
export type Target =
  | { readonly kind: 'ratio'; readonly value: number }
  | { readonly kind: 'budget'; readonly value: number }
  | { readonly kind: 'max-error'; readonly value: number };

/** What the command line says about the compression itself. */
export interface CompressFlags {
  /** A short name, or `module#export`. */
  readonly preset: string;
  /** At most one of these three. */
  readonly ratio?: number;
  readonly budget?: string;
  readonly maxError?: number;
  /** `none`: no quantization; default: the preset's. */
  readonly bits?: number | 'none';
  readonly blocks?: number | 'auto';
  readonly layers?: readonly string[];
  readonly tied?: string;
}

const PACKAGE = '@espalier/preset-group-reduce';
const SHORT: Readonly<Record<string, string>> = {
  'group-reduce': 'groupReduce',
  svd: 'svd',
  'weighted-svd': 'weightedSvd',
  'quantize-only': 'quantizeOnly',
  prune: 'prune',
};

/**
 * A preset's module and export, of its short name or as it is.
 *
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
 * The target that is asked for, if any.
 *
 * @throws EspalierError `cli/compress` on a budget that is no size.
 */
export function readTarget({ ratio, budget, maxError }: CompressFlags): Target | undefined {
  if (ratio !== undefined) return { kind: 'ratio', value: ratio };
  if (maxError !== undefined) return { kind: 'max-error', value: maxError };
  if (budget === undefined) return undefined;
  const value = parseBytes(budget);
  if (value !== undefined) return { kind: 'budget', value };
  throw new EspalierError('cli/compress', {
    problem: '--budget must be a size',
    received: budget,
    fix: 'Give bytes, or a unit with them: --budget 10MB.',
  });
}
