import { quantizer } from '@espalier/plugin-quantizer';
import { testPlugin, tinyCnn, tinyMlp } from '@espalier/testkit';

testPlugin(quantizer, [
  { name: 'every layer', options: { minSize: 1 } },
  { name: 'convolutions, 4 bits', options: { minSize: 1, bits: 4 }, model: tinyCnn },
  { name: 'aware', options: { minSize: 1, bits: 3, qat: 'lsq' }, model: tinyMlp },
]);
