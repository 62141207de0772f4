/** MetaDistiller and its parts, many seeds: `npx espalier study run examples/metadistiller/study.ts`. */
import { defineStudy } from '@espalier/study';
import { studyOf } from './rows.js';

export default defineStudy({
  name: 'metadistiller',
  ...studyOf(
    [
      'deeply supervised',
      'BYOT',
      'generator, no meta-learning',
      'MetaDistiller',
      'MetaDistiller, held-out',
    ],
    15,
  ),
  equalCompute: true,
});
