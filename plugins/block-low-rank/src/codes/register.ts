import { registerStorage } from '@espalier/compression';
import { registerKernels } from './kernels.js';
import { BLOCK_CODES } from './layout.js';
import { blockCodesStorage } from './storage.js';

// Importing this package is all that loading a model in block codes needs.
registerKernels();
registerStorage(BLOCK_CODES, blockCodesStorage);
