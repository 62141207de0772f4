import path from 'node:path';
import { run, say } from './run.mjs';

const program = `
const util = require('node:util');
util.isArray ??= Array.isArray;
util.isNullOrUndefined ??= (value) => value == null;
const tf = require('@tensorflow/tfjs-node-gpu');
const [a, b] = [tf.tensor2d([[1, 2], [3, 4]]), tf.tensor2d([[5], [6]])];
const product = Array.from(tf.matMul(a, b).dataSync());
if (String(product) !== '17,39') throw new Error('matMul gave ' + product);
const { binding, isUsingGpuDevice } = tf.backend();
console.log('TensorFlow ' + binding.TF_Version + ' on the ' + (isUsingGpuDevice ? 'GPU' : 'CPU'));
`;

/** Computes one product with the addon in a process of its own, which a bad library may take down. */
export function smokeTest(root) {
  const env = { TF_CPP_MIN_LOG_LEVEL: '2', ...process.env };
  const args = ['--input-type=commonjs', '--eval', program];
  const result = run(process.execPath, args, { cwd: path.resolve(root), env });
  say(`it works: ${result.trim()}`);
}
