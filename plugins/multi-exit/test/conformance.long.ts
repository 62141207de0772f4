import { deepestExit, exitDistillation, multiExit } from '@espalier/plugin-multi-exit';
import { testPlugin, tinyCnn } from '@espalier/testkit';
import { residualNet, sequenceNet } from './models.js';

testPlugin(multiExit, [
  { name: '1-D convolutions', options: { at: ['conv_1'] }, model: sequenceNet },
]);

testPlugin(
  multiExit,
  [
    { name: 'separable', options: { branch: 'separable' }, model: tinyCnn },
    {
      name: 'residual bottleneck, scheduled weights',
      options: {
        at: 'block_*_out',
        branch: 'bottleneck',
        weights: [{ kind: 'linear', from: 1, to: 0.1, epochs: 2 }, 0.5],
      },
      model: residualNet,
    },
  ],
  { backends: ['wasm'] },
);

testPlugin(
  exitDistillation,
  [
    {
      name: 'hints, teacher not detached',
      options: { hint: 0.01, alpha: 0.5 },
      companions: () => [multiExit({ branch: 'bottleneck' }), deepestExit({ detach: false })],
      model: residualNet,
    },
  ],
  { backends: ['wasm'] },
);
