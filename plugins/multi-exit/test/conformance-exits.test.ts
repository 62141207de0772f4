import { multiExit } from '@espalier/plugin-multi-exit';
import { testPlugin, tinyCnn, tinyMlp } from '@espalier/testkit';
import { residualNet, sequenceNet } from './models.js';

testPlugin(multiExit, [
  { name: 'noisy MLP, defaults' },
  { name: 'MLP, detached', options: { detach: true }, model: tinyMlp },
  { name: '1-D convolutions', options: { at: ['conv_1'] }, model: sequenceNet },
]);

testPlugin(
  multiExit,
  [
    {
      name: 'residual bottleneck, scheduled weights',
      options: {
        at: 'block_*_out',
        branch: 'bottleneck',
        weights: [{ kind: 'linear', from: 1, to: 0.1, epochs: 2 }, 0.5],
      },
      model: residualNet,
    },
    { name: 'separable', options: { branch: 'separable' }, model: tinyCnn },
  ],
  { backends: ['wasm'] },
);
