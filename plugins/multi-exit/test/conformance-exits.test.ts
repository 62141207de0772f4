import { multiExit } from '@espalier/plugin-multi-exit';
import { testPlugin, tinyCnn, tinyMlp } from '@espalier/testkit';

testPlugin(multiExit, [
  { name: 'noisy MLP, defaults' },
  { name: 'MLP, detached', options: { detach: true }, model: tinyMlp },
]);

testPlugin(multiExit, [{ name: 'separable', options: { branch: 'separable' }, model: tinyCnn }], {
  backends: ['wasm'],
});
