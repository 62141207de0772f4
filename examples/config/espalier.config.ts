/** `npx espalier train examples/config/espalier.config.ts`: what JSON can say, and code where it helps. */
import { adam, cosineSchedule } from '@espalier/core';
import { byot } from '@espalier/preset-baselines';
import { defineConfig } from 'espalier';
import { residualNetwork } from '../digits/network.js';
import { test, train, validation } from './parts.js';

export default defineConfig({
  model: residualNetwork,
  data: { train, validation, test },
  batchSize: 20,
  preset: byot({ at: ['stage1', 'stage2'] }),
  loss: 'cross-entropy',
  optimizer: adam({ learningRate: cosineSchedule({ initial: 1e-2, steps: 60 }) }),
  epochs: 3,
  seed: 1,
  backend: { prefer: ['wasm'] },
  checkpoint: { dir: '../../runs/config-ts', everySteps: 10 },
});
