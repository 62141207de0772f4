import * as tf from '@tensorflow/tfjs-core';
import { streamedStorage } from './storage/row-source.js';
import { registerStorage } from './storage/storage.js';
import { StoredConv2D, StoredDense, StoredEmbedding } from './storage/stored-layers.js';

// Importing this package is all that loading a model with these layers needs.
for (const layer of [StoredDense, StoredEmbedding, StoredConv2D]) {
  tf.serialization.registerClass(layer);
}
registerStorage('streamed', streamedStorage);
