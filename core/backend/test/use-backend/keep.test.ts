import { describe, expect, it } from 'vitest';
import { evaluate, makeProject, runModule } from './project.js';

const keepBackend = `const { keepBackend } = await import('@espalier/backend');`;

describe('keepBackend in Node', () => {
  it('puts wasm in the place of a cpu backend that nobody chose, and its tensors move over', () => {
    const body = `import '@tensorflow/tfjs-backend-cpu';
      ${keepBackend}
      const early = tf.tensor2d([[1.5, -2], [0.25, 8]]);
      const words = tf.tensor1d(['a', 'b']);
      const before = tf.getBackend();
      const { name, line, warning } = await keepBackend();
      const product = Array.from(await tf.matMul(early, early).data());
      console.log(JSON.stringify({ before, after: tf.getBackend(), name, line, warning, product,
        early: Array.from(early.dataSync()), words: words.dataSync() }));`;
    expect(evaluate(makeProject(), body)).toEqual({
      before: 'cpu',
      after: 'wasm',
      name: 'wasm',
      line: expect.stringMatching(/^backend wasm .*passed over tfjs-node-gpu/) as string,
      warning:
        'wasm takes the place of cpu, which TensorFlow.js had chosen by itself; tensors move over ' +
        "when they are used. To stay on cpu: backend: { prefer: 'cpu' }",
      product: [1.75, -19, 2.375, 63.5],
      early: [1.5, -2, 0.25, 8],
      words: ['a', 'b'],
    });
  });

  it('casts of the cpu backend, which share values of another type, keep them on wasm', () => {
    const body = `import '@tensorflow/tfjs-backend-cpu';
      ${keepBackend}
      const ids = tf.tensor1d([1, 2, 3], 'int32');
      const floats = tf.cast(ids, 'float32');
      const shares = tf.cast(tf.greater(ids, 1), 'float32');
      const w = tf.variable(tf.cast(ids, 'float32'));
      await keepBackend();
      const read = (compute) => Array.from(tf.tidy(compute).dataSync());
      const before = tf.memory().numTensors;
      const slope = tf.variableGrads(() => tf.sum(tf.mul(w, tf.mul(floats, floats))), [w]).grads[w.name];
      const after = tf.memory().numTensors - before;
      console.log(JSON.stringify({ after, slope: Array.from(slope.dataSync()),
        half: read(() => tf.mul(floats, 0.5)), shares: read(() => tf.add(shares, shares)),
        ids: read(() => tf.mul(ids, tf.scalar(2, 'int32'))) }));`;
    expect(evaluate(makeProject(), body)).toEqual({
      after: 2, // the value and the gradient
      slope: [1, 4, 9],
      half: [0.5, 1, 1.5],
      shares: [0, 2, 2],
      ids: [2, 4, 6],
    });
  });

  it('keeps what the program set: cpu where wasm was there, wasm, a backend of its own', () => {
    const body = `import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
      import '@tensorflow/tfjs-backend-wasm';
      ${keepBackend}
      tf.registerBackend('mine', () => new MathBackendCPU());
      tf.copyRegisteredKernels('cpu', 'mine');
      const kept = [];
      for (const name of ['cpu', 'wasm', 'mine']) {
        await tf.setBackend(name);
        const info = await keepBackend();
        const slope = tf.grad((x) => tf.sum(tf.square(x)))(tf.tensor1d([3])).dataSync()[0];
        kept.push([tf.getBackend(), info.name, info.warning, info.line, slope]);
        info.dispose();
      }
      console.log(JSON.stringify(kept));`;
    const text = (pattern: RegExp) => expect.stringMatching(pattern) as string;
    expect(evaluate(makeProject(), body)).toEqual([
      ['cpu', 'cpu', null, text(/^backend cpu \(@tensorflow\/tfjs-backend-cpu/), 6],
      ['wasm', 'wasm', null, text(/^backend wasm \(/), 6],
      ['mine', 'mine', text(/'mine' was kept.*none that Espalier knows/), text(/mine \(set by/), 6],
    ]);
  });

  it('stays where useBackend has been told to go, and chooses where nothing is current', () => {
    const body = `${keepBackend}
      const first = await keepBackend();
      first.dispose();
      await useBackend({ prefer: 'cpu' });
      const then = await keepBackend();
      console.log(JSON.stringify([first.name, then.name, then.warning]));`;
    expect(evaluate(makeProject(), body)).toEqual(['wasm', 'cpu', null]);
  });

  it('has no webgl', () => {
    const { stderr } = runModule(makeProject(), `await useBackend({ prefer: 'webgl' });`);
    expect(stderr).toContain('webgl: it runs in a browser only (another backend)');
  });
});
