import { useBackend } from '@espalier/backend';
import type { BackendName } from '@espalier/backend';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';

const prefer = (name: string) => useBackend({ prefer: name as BackendName });

describe('useBackend refuses, and changes nothing', () => {
  it.each([
    ['wsam', "Did you mean 'wasm'?"],
    ['CPU', "Did you mean 'cpu'?"],
    ['@tensorflow/tfjs-node', "Did you mean 'tfjs-node'?"],
    ['tensorflow', "here they are 'tfjs-node-gpu' and 'tfjs-node'"],
    ['quantum', 'Known: cpu, tfjs-node, tfjs-node-gpu, wasm, webgl, webgpu.'],
  ])('the unknown backend %s', async (name, hint) => {
    const failed = prefer(name);
    await expect(failed).rejects.toMatchObject({ code: 'backend/unknown-name' });
    await expect(failed).rejects.toThrow(`Received: '${name}'`);
    await expect(failed).rejects.toThrow(hint);
    expect(tf.engine().registry).toEqual({});
  });

  it('an unknown name behind one that would do', async () => {
    const list = ['cpu', 'wsam'] as unknown as BackendName[];
    await expect(useBackend({ prefer: list })).rejects.toThrow("Received: 'wsam'");
    expect(tf.engine().registry).toEqual({});
  });

  it('an empty list', async () => {
    await expect(useBackend({ prefer: [] })).rejects.toMatchObject({
      code: 'backend/prefer-empty',
    });
  });

  it.each([0, -1, 1.5, NaN, '2'])('threads: %s', async (threads) => {
    const failed = useBackend({ threads: threads as number });
    await expect(failed).rejects.toMatchObject({ code: 'backend/threads' });
    await expect(failed).rejects.toThrow('whole number from 1');
  });
});
