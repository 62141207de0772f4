import { mixup } from '@espalier/plugin-augmentation';
import { labelSmoothing } from '@espalier/plugin-label-smoothing';
import { deepestExit, exitDistillation, multiExit } from '@espalier/plugin-multi-exit';
import { testPlugin } from '@espalier/testkit';

testPlugin(mixup, [
  {
    name: 'beside self-distillation',
    companions: () => [multiExit(), deepestExit(), exitDistillation(), labelSmoothing()],
  },
]);
