import { registerStorage } from '@espalier/compression';
import { registerKernels } from './sparse-kernels.js';
import { SPARSE_KIND, sparseStorage } from './sparse-storage.js';

// Importing this package is all that loading a pruned model needs.
registerKernels();
registerStorage(SPARSE_KIND, sparseStorage);
