/** How often the generator needs an outer step: `npx espalier study run examples/metadistiller/interval.ts`. */
import { defineStudy } from '@espalier/study';
import { at, base, metrics, preset } from './base.js';
import { chosenDataset } from './datasets.js';

const dataset = chosenDataset();
const method = preset('metadistiller#metadistiller', { at, meta: { interval: 1 } });
const every = (interval: number) => ({ set: { 'plugins.bilevel.options.interval': interval } });

export default defineStudy({
  name: 'metadistiller-interval',
  base: { ...base(dataset, 10), ...method },
  factors: {
    interval: {
      'every 2': every(2),
      'every 4': every(4),
      'every 8': every(8),
      'every 16': every(16),
      // Taught by labels for 30 steps, then left as it is: what long intervals tend to.
      never: { drop: 'bilevel' },
    },
  },
  seeds: 5,
  primary: 'accuracy',
  metrics,
  dir: `../../runs/metadistiller-interval-${dataset.name}`,
});
