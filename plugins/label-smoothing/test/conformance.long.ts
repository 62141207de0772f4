import { labelSmoothing } from '@espalier/plugin-label-smoothing';
import { deepestExit, exitDistillation, multiExit } from '@espalier/plugin-multi-exit';
import { testPlugin } from '@espalier/testkit';

testPlugin(labelSmoothing, [
  {
    name: 'beside self-distillation',
    options: { epsilon: 0.3, outputs: ['logits'] },
    companions: () => [multiExit(), deepestExit(), exitDistillation()],
  },
]);
