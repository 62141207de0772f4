import { useBackend } from '@espalier/backend';
import type { BackendName } from '@espalier/backend';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';

const prefer = (name: string) => useBackend({ prefer: name as BackendName });

describe('useBackend refuses, and changes nothing', () => {
  it.each([
    ['wsam', 'Did you mean "wasm"?'],
    ['CPU', 'Did you mean "cpu"?'],
    ['@tensorflow/tfjs-node', 'Did you mean "tfjs-node"?'],
    ['tensorflow', 'here they are "tfjs-node-gpu" and "tfjs-node"'],
    ['quantum', 'Known: tfjs-node-gpu, tfjs-node, webgpu, wasm, cpu.'],
  ])('the unknown backend %s', async (name, hint) => {
    const failed = prefer(name);
    await expect(failed).rejects.toThrow(TypeError);
    await expect(failed).rejects.toThrow(`no backend "${name}"`);
    await expect(failed).rejects.toThrow(hint);
    expect(tf.engine().registry).toEqual({});
  });

  it('an unknown name behind one that would do', async () => {
    const list = ['cpu', 'wsam'] as unknown as BackendName[];
    await expect(useBackend({ prefer: list })).rejects.toThrow('no backend "wsam"');
    expect(tf.engine().registry).toEqual({});
  });

  it('an empty list', async () => {
    await expect(useBackend({ prefer: [] })).rejects.toThrow('empty list');
  });

  it.each([0, -1, 1.5, NaN, '2'])('threads: %s', async (threads) => {
    const failed = useBackend({ threads: threads as number });
    await expect(failed).rejects.toThrow(RangeError);
    await expect(failed).rejects.toThrow('whole number from 1');
  });
});
