import { registerStorage } from '@espalier/compression';
import { codeStorage } from './code-storage.js';
import { registerDecoder } from './decode-kernel.js';
import { fakeStorage } from './fake-storage.js';
import { CODE_KINDS, FAKE_KIND } from './storage-config.js';

// Importing this package is all that loading a quantized model needs.
registerDecoder();
for (const kind of CODE_KINDS) registerStorage(kind, codeStorage);
registerStorage(FAKE_KIND, fakeStorage);
