import { deeplySupervised } from '@espalier/preset-deeply-supervised';
import { testPreset } from '@espalier/testkit';

testPreset(deeplySupervised, [{ name: 'defaults' }]);
