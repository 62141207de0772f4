import { deepestExit, exitDistillation, multiExit } from '@espalier/plugin-multi-exit';
import { testPlugin, tinyMlp } from '@espalier/testkit';
import { residualNet } from './models.js';

testPlugin(exitDistillation, [
  { name: 'defaults', companions: () => [multiExit(), deepestExit()], model: tinyMlp },
]);

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

testPlugin(deepestExit, [
  { name: 'taught exits', companions: () => [multiExit(), exitDistillation()] },
  { name: 'alone', options: { detach: false } },
]);
