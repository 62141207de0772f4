import { testPlugin } from '@espalier/testkit';
import { logitPenalty } from 'espalier-plugin-logit-penalty';

testPlugin(logitPenalty, [{ name: 'defaults' }], { backends: ['cpu'] });
