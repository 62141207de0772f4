import type { MatrixShape, StorageConfig } from '@espalier/compression';
import { EspalierError, parseOptions } from '@espalier/core';
import { z } from 'zod';
import { computeLayout, RANGES } from './layout.js';
import type { BlockCodesConfig, BlockCodesLayout } from './layout.js';

/** The kind of {@link BlockCodesTrainingConfig}. */
export const BLOCK_CODES_TRAINING = 'block-codes-training';

const trainingConfig = z.strictObject({
  kind: z.literal(BLOCK_CODES_TRAINING),
  /** The configuration of the codes that are made afterwards. */
  codes: z.custom<StorageConfig>(),
  shape: z.tuple([z.int().positive(), z.int().positive()]).readonly(),
});

/** How a matrix is kept while it trains for codes of blocks. */
export interface BlockCodesTrainingConfig {
  readonly kind: typeof BLOCK_CODES_TRAINING;
  readonly codes: BlockCodesConfig;
  /** Of the matrix: no weight tells it. */
  readonly shape: MatrixShape;
  readonly [option: string]: unknown;
}

/** A weight of a matrix that trains for codes; its name is the matrix's and this suffix. */
export type TrainingPart = 'u' | 'basis' | 'scales' | 'lengths' | 'ranges' | 'positions';

/** What follows from a configuration and a shape. */
export interface TrainingLayout {
  readonly config: BlockCodesTrainingConfig;
  readonly layout: BlockCodesLayout;
  /** Where the coefficients of each block begin in `u`. */
  readonly begins: readonly number[];
  /** Lengths of the parts. */
  readonly parts: Readonly<Partial<Record<TrainingPart, number>>>;
}

/** @throws EspalierError `options/invalid`, `block-codes/config`. */
export function computeTrainingLayout(given: StorageConfig, shape: MatrixShape): TrainingLayout {
  const { kind, codes, shape: own } = parseOptions('storage', trainingConfig, given);
  checkShape(own, shape);
  const layout = computeLayout(codes, shape);
  const { blocks, rows, columns, basisRows, mapBits, config } = layout;
  const begins: number[] = [];
  let size = 0;
  for (const { rows: own, directions } of blocks) {
    begins.push(size);
    size += own * directions.length;
  }
  const parts = {
    u: size,
    basis: basisRows * columns,
    scales: blocks.reduce((sum, { directions }) => sum + directions.length, 0),
    lengths: blocks.some(({ lengths }) => lengths) ? rows : 0,
    positions: mapBits > 0 ? rows : 0,
    ranges: RANGES * blocks.length,
  };
  const present = Object.entries(parts).filter(([, length]) => length > 0);
  return {
    ...{ config: { kind, codes: config, shape }, layout, begins },
    parts: Object.fromEntries(present),
  };
}

function checkShape(own: MatrixShape, shape: MatrixShape): void {
  if (own[0] === shape[0] && own[1] === shape[1]) return;
  throw new EspalierError('block-codes/config', {
    problem: `a configuration of training for codes is of a matrix [${own.join(', ')}], and this one is [${shape.join(', ')}]`,
    fix: 'Take config and weights together, as startTraining gives them.',
  });
}
