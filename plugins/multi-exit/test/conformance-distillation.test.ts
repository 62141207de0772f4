import { deepestExit, exitDistillation, multiExit } from '@espalier/plugin-multi-exit';
import { testPlugin, tinyMlp } from '@espalier/testkit';

testPlugin(exitDistillation, [
  { name: 'defaults', companions: () => [multiExit(), deepestExit()], model: tinyMlp },
]);

testPlugin(deepestExit, [
  { name: 'taught exits', companions: () => [multiExit(), exitDistillation()] },
  { name: 'alone', options: { detach: false } },
]);
