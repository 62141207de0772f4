import { metadistiller } from '@espalier/preset-metadistiller';
import { testPreset, tinyCnn, tinySource } from '@espalier/testkit';

const images = tinySource({ shape: [8, 8, 1], examples: 12 });
const options = {
  at: ['stage1_relu', 'stage2_relu'],
  generator: { channels: 4 },
  meta: { warmup: 1, interval: 1 },
};

testPreset(metadistiller, [
  {
    name: 'two exits, meta-learned after a step',
    options,
    model: tinyCnn,
    session: { train: images, validation: images, accumulate: 1 },
  },
]);
