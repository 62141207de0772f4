import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';

// Quiets the cpu backend's advice to install another one.
tf.env().set('PROD', true);

// Property tests draw the same cases in every run.
fc.configureGlobal({ seed: 1 });
