import { bilevel } from '@espalier/plugin-bilevel';
import { testPlugin } from '@espalier/testkit';
import { softLabels } from './soft-labels.js';

testPlugin(bilevel, [
  {
    name: 'every second step after one, exactly, clipped',
    options: {
      variables: ['soft-labels:*'],
      estimator: 'unroll',
      interval: 2,
      warmup: 1,
      clip: 0.1,
    },
    companions: () => [softLabels({ layer: 'hidden', features: [8] })],
    session: { accumulate: 1 },
  },
]);
