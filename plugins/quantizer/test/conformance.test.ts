import { quantizer } from '@espalier/plugin-quantizer';
import { testPlugin, tinyMlp } from '@espalier/testkit';

testPlugin(quantizer, [
  { name: 'every layer', options: { minSize: 1 } },
  { name: 'aware', options: { minSize: 1, bits: 3, qat: 'lsq' }, model: tinyMlp },
]);
