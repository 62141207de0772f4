import {
  bestWeights,
  classWeights,
  earlyStopping,
  ema,
  metrics,
  reduceOnPlateau,
  trainingMetrics,
} from '@espalier/plugin-everyday';
import { testPlugin } from '@espalier/testkit';

/** These compute nothing on the device. */
const onHost = { backends: ['cpu'] } as const;
/** The values of these are tested on cpu, in the other tests. */
const onWasm = { backends: ['wasm'] } as const;

testPlugin(earlyStopping, [{ name: 'defaults' }], onHost);
testPlugin(
  bestWeights,
  [{ name: 'of the average', companions: () => [ema({ decay: 0.9, every: 2 })] }],
  onHost,
);
testPlugin(
  ema,
  [
    { name: 'defaults' },
    {
      name: 'warm-up, statistics too',
      options: { decay: 0.9, start: 'warm-up', statistics: 'average', putInPlace: false },
    },
  ],
  onWasm,
);
testPlugin(
  reduceOnPlateau,
  [{ name: 'always', options: { patience: 1, minDelta: 100, factor: 0.5, minFactor: 0.1 } }],
  onHost,
);
testPlugin(classWeights, [{ name: 'of three', options: { weights: { 0: 0.5, 2: 3 } } }], onWasm);
testPlugin(
  metrics,
  [
    {
      name: 'all',
      options: {
        compute: ['f1', 'precision', 'recall', 'auroc', 'confusion'],
        topK: [1, 2],
        averages: ['macro', 'micro', 'classes'],
      },
    },
  ],
  onWasm,
);
testPlugin(
  trainingMetrics,
  [
    {
      name: 'all, for early stopping',
      options: { compute: ['accuracy', 'f1', 'auroc', 'confusion'], topK: [2] },
      companions: () => [earlyStopping({ monitor: 'auroc' })],
    },
  ],
  onWasm,
);
