import * as tf from '@tensorflow/tfjs-core';

// Quiets the cpu backend's advice to install another one.
tf.env().set('PROD', true);
