import { describe, expect, it } from 'vitest';
import { evaluate, makeProject, runModule } from './project.js';

const multiply = `const value = (await tf.matMul(tf.ones([64, 64]), tf.ones([64, 64])).data())[0];`;

describe('the process', () => {
  it.each([
    ['one thread', `{ prefer: 'wasm' }`, ''],
    ['two threads', `{ prefer: 'wasm', threads: 2 }`, ''],
    ['two threads, disposed', `{ prefer: 'wasm', threads: 2 }`, 'info.dispose();'],
    ['cpu', `{ prefer: 'cpu' }`, ''],
  ])('ends by itself after wasm or cpu with %s', (_title, options, end) => {
    const body = `const info = await useBackend(${options}); ${multiply} ${end} console.log(value);`;
    expect(runModule(makeProject(), body)).toMatchObject({ status: 0, stdout: '64', stderr: '' });
  });

  it('reports an error of the user as Node does', () => {
    const body = `await useBackend({ prefer: 'wasm', threads: 2 }); throw new Error('mine');`;
    const { status, stderr } = runModule(makeProject(), body);
    expect(status).toBe(1);
    expect(stderr).toContain('Error: mine');
    expect(stderr).not.toContain('tfjs-backend-wasm');
  });
});

describe('threads', () => {
  const countAndCompute = `
    import os from 'node:os';
    const cpus = os.cpus().length;
    const createObjectURL = URL.createObjectURL;
    const info = await useBackend({ prefer: 'wasm', threads: Number(process.env.ASKED) });
    ${multiply}
    const untouched = os.cpus().length === cpus && URL.createObjectURL === createObjectURL;
    const { threads, line, warning } = info;
    console.log(JSON.stringify({ threads, line, warning, value, untouched }));`;
  const ask = (threads: number) =>
    evaluate<{ threads: number; line: string; warning?: string }>(
      makeProject(),
      countAndCompute.replace('process.env.ASKED', String(threads)),
    );

  it('are as many as were asked for, whatever the number of cores', () => {
    const two = ask(2);
    expect(two).toMatchObject({ threads: 2, value: 64, untouched: true });
    expect(two).not.toHaveProperty('warning');
    expect(ask(3)).toMatchObject({ threads: 3, value: 64, untouched: true });
  });

  it('are at most 8, and line and warning say so', () => {
    const told = ask(12);
    expect(told.threads).toBe(8);
    expect(told.line).toContain('8 threads where 12 were asked for: it takes no more');
    expect(told.warning).toBe('wasm takes 8 threads where 12 were asked for: it takes no more');
  });

  it('can be had again after dispose, in another number', () => {
    const body = `const counts = [];
      for (const threads of [2, 3, 1]) {
        const info = await useBackend({ prefer: 'wasm', threads });
        ${multiply}
        counts.push(info.threads, value);
        info.dispose();
      }
      console.log(JSON.stringify(counts));`;
    expect(evaluate(makeProject(), body)).toEqual([2, 64, 3, 64, 1, 64]);
  });

  it('cannot change under living tensors', () => {
    const body = `const first = await useBackend({ prefer: 'wasm' });
      const kept = tf.ones([3]);
      const messages = [];
      await useBackend({ prefer: 'wasm', threads: 2 }).catch((error) => messages.push(error.message));
      first.dispose();
      await useBackend({ prefer: 'wasm', threads: 2 }).catch((error) => messages.push(error.message));
      console.log(JSON.stringify([...messages, Array.from(kept.dataSync())]));`;
    expect(evaluate(makeProject(), body)).toEqual([
      expect.stringContaining('in use with 1 threads and cannot change to 2'),
      expect.stringContaining('holds 1 tensors'),
      [1, 1, 1],
    ]);
  });
});
