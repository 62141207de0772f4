/** Every row, few seeds, validation data alone: `npx espalier study run examples/metadistiller/screen.ts`. */
import { defineStudy } from '@espalier/study';
import { ROWS, studyOf } from './rows.js';

export default defineStudy({ name: 'metadistiller-screen', ...studyOf(ROWS, 5) });
