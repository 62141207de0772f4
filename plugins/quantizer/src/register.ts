import { registerStorage } from '@espalier/compression';
import { codeStorage } from './storage/code-storage.js';
import { registerDecoder } from './storage/decode-kernel.js';
import { fakeStorage } from './storage/fake-storage.js';
import { CODE_KINDS, FAKE_KIND } from './storage/storage-config.js';

// Importing this package is all that loading a quantized model needs.
registerDecoder();
for (const kind of CODE_KINDS) registerStorage(kind, codeStorage);
registerStorage(FAKE_KIND, fakeStorage);
