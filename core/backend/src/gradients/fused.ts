import * as tf from '@tensorflow/tfjs-core';
import { likeShaped, unbroadcast } from './broadcasting.js';
import { conv2dGradients, depthwiseGradients } from './convolution.js';
import type { ConvolutionAttrs } from './convolution.js';
import { wrapMethod } from './engine.js';
import type { EnginePatch } from './engine.js';

const gradientsOf: Readonly<Record<string, typeof conv2dGradients>> = {
  [tf.FusedConv2D]: conv2dGradients,
  [tf.FusedDepthwiseConv2D]: depthwiseGradients,
};

/** The op scopes in which tfjs records the custom gradients of `tf.fused`. */
const fusedOps = ['fusedConv2d__op', 'fusedDepthwiseConv2d__op'];

/** What these ops save: filter, images, output and, where there is one, bias. */
type Saved = [filter: tf.Tensor, x: tf.Tensor, y: tf.Tensor, bias?: tf.Tensor];

/** While a tape runs, `tf.fused` fuses no activation but the identity: that leaves filter and bias. */
function fusedGradient(gradients: typeof conv2dGradients, attrs: ConvolutionAttrs): tf.GradFunc {
  return (dys, saved) => {
    const [filter, x, y, bias] = saved as Saved;
    const dy = likeShaped(dys as tf.Tensor, y.shape);
    const { x: dx, filter: dFilter } = gradients(dy, x, filter, attrs);
    return { 0: dx, 1: dFilter, ...(bias && { 2: () => unbroadcast(dy, bias.shape) }) };
  };
}

/**
 * A convolution layer without activation trains through `tf.fused`, whose own gradient refuses
 * dilation and unbatched images. It is a custom gradient, so no registration reaches it; but the
 * kernel that it runs has the attributes, and the tape node recorded next has the gradient.
 */
export const repairFusedConvolutions: EnginePatch = (engine) => {
  let gradientOfLastFused: tf.GradFunc | null = null;
  wrapMethod(engine, 'runKernel', (run) => (name, inputs, attrs) => {
    const outputs = run(name, inputs, attrs);
    const gradients = gradientsOf[name];
    if (gradients) gradientOfLastFused = fusedGradient(gradients, attrs as ConvolutionAttrs);
    return outputs;
  });
  wrapMethod(engine, 'addTapeNode', (record) => (name, inputs, outputs, gradient, saved, attrs) => {
    const isFused = fusedOps.includes(name) && saved.length >= 3;
    record(name, inputs, outputs, isFused ? gradientOfLastFused : gradient, saved, attrs);
  });
};
