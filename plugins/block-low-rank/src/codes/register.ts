import { registerStorage } from '@espalier/compression';
import { registerKernels } from './kernels.js';
import { BLOCK_CODES } from './layout.js';
import { registerNearestValues } from './nearest-values.js';
import { blockCodesStorage } from './storage.js';
import { BLOCK_CODES_TRAINING } from './training-layout.js';
import { trainingStorage } from './training-storage.js';

// Importing this package is all that loading a model in block codes needs.
registerKernels();
registerNearestValues();
registerStorage(BLOCK_CODES, blockCodesStorage);
registerStorage(BLOCK_CODES_TRAINING, trainingStorage);
