import { bilevel } from '@espalier/plugin-bilevel';
import { testPlugin } from '@espalier/testkit';
import { softLabels } from './soft-labels.js';

const companions = () => [softLabels({ layer: 'hidden', features: [8] })];
const variables = ['soft-labels:*'];

testPlugin(bilevel, [
  { name: 'every step, on the next batch', options: { variables }, companions },
  {
    name: 'every second step after one, exactly, clipped',
    options: { variables, estimator: 'unroll', interval: 2, warmup: 1, clip: 0.1 },
    companions,
    session: { accumulate: 1 },
  },
]);
