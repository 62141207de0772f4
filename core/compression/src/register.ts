import * as tf from '@tensorflow/tfjs-core';
import { streamedStorage } from './storage/row-source.js';
import { registerStorage } from './storage/storage.js';
import { StoredConv2D } from './storage/stored-conv2d.js';
import { StoredDense, StoredEmbedding } from './storage/stored-layers.js';
import { StoredTiedDense } from './storage/stored-tied-dense.js';

// Importing this package is all that loading a model with these layers needs.
for (const layer of [StoredDense, StoredEmbedding, StoredConv2D, StoredTiedDense]) {
  tf.serialization.registerClass(layer);
}
registerStorage('streamed', streamedStorage);
