import { byot } from '@espalier/preset-byot';
import { testPreset, tinyCnn, tinySource } from '@espalier/testkit';

const images = tinySource({ shape: [8, 8, 1], examples: 12 });

testPreset(byot, [
  {
    name: 'an exit at the first stage',
    options: { at: ['stage1_relu'], hint: 0.01 },
    model: tinyCnn,
    session: { train: images, validation: images },
  },
]);
