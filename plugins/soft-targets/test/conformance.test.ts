import { exitDistillation, multiExit } from '@espalier/plugin-multi-exit';
import {
  exitEnsemble,
  exitMixture,
  labelGenerator,
  previousEpoch,
  teacher,
  uniformTargets,
} from '@espalier/plugin-soft-targets';
import { testPlugin, tinyMlp } from '@espalier/testkit';
import { small } from './support.js';

const distilled = () => [multiExit({ at: ['hidden'] }), exitDistillation()];
const vectors = { model: tinyMlp, session: small([6]), companions: distilled };

testPlugin(labelGenerator, [{ name: 'vectors, defaults', ...vectors }]);

testPlugin(exitEnsemble, [{ name: 'arithmetic', options: { mean: 'arithmetic' }, ...vectors }]);

testPlugin(exitMixture, [{ name: 'deeper', options: { members: 'deeper' }, ...vectors }]);

testPlugin(previousEpoch, [{ name: 'exits', options: { exits: 'auxiliary' }, ...vectors }]);

testPlugin(uniformTargets, [{ name: 'auxiliary', options: { exits: 'auxiliary' }, ...vectors }]);

testPlugin(teacher, [
  {
    name: 'a model, without exits',
    options: { model: tinyMlp },
    companions: () => [exitDistillation({ alpha: 0.9 })],
    session: small([6]),
  },
]);
