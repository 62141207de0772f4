import { registerStorage } from '@espalier/compression';
import * as tf from '@tensorflow/tfjs-core';
import { codeStorage } from './code-storage.js';
import { registerDecoder } from './decode-kernel.js';
import { fakeStorage } from './fake-storage.js';
import { QuantizedConv2D, QuantizedDense, QuantizedEmbedding } from './quantized-layers.js';
import { CODE_KINDS, FAKE_KIND } from './storage-config.js';

// Importing this package is all that loading a quantized model needs.
registerDecoder();
for (const kind of CODE_KINDS) registerStorage(kind, codeStorage);
registerStorage(FAKE_KIND, fakeStorage);
for (const layer of [QuantizedDense, QuantizedEmbedding, QuantizedConv2D]) {
  tf.serialization.registerClass(layer);
}
