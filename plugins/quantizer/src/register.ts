import { registerStorage } from '@espalier/compression';
import { codeStorage } from './storage/code-storage.js';
import { registerDecoder } from './storage/decode-kernel.js';
import { fakeStorage } from './storage/fake-storage.js';
import { CODE_KINDS, FAKE_KIND } from './storage/storage-config.js';
import { registerVectorKernels } from './storage/vector-kernels.js';
import { vectorStorage } from './storage/vector-storage.js';
import { VECTOR_KINDS } from './vectors/layout.js';

// Importing this package is all that loading a quantized model needs.
registerDecoder();
registerVectorKernels();
for (const kind of CODE_KINDS) registerStorage(kind, codeStorage);
for (const kind of VECTOR_KINDS) registerStorage(kind, vectorStorage);
registerStorage(FAKE_KIND, fakeStorage);
