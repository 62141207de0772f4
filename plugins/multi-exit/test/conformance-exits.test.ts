import { multiExit } from '@espalier/plugin-multi-exit';
import { testPlugin, tinyMlp } from '@espalier/testkit';

testPlugin(multiExit, [
  { name: 'noisy MLP, defaults' },
  { name: 'MLP, detached', options: { detach: true }, model: tinyMlp },
]);
