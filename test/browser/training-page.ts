import { trainAndResume } from './training-run.js';

Object.assign(globalThis, { trainAndResume });
