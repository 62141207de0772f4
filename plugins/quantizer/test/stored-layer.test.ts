import { compressionReport, StoredMatrix } from '@espalier/compression';
import type { StorageConfig } from '@espalier/compression';
import { arraySource } from '@espalier/core';
import type { QuantizerOptions } from '@espalier/plugin-quantizer';
import { backendsUnderTest, onBackend, withSession } from '@espalier/testkit';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { open, WORDS } from './support.js';

type Storages = Readonly<Record<string, StorageConfig>>;

/** A dense layer without bias in two factors, as a plugin of somebody else might have it. */
class TwoFactors extends tfl.layers.Layer {
  static readonly className = 'TwoFactorsForTest';
  #factors: readonly StoredMatrix[] = [];

  constructor(private readonly given: { readonly storage?: Storages }) {
    super(given as ConstructorParameters<typeof tfl.layers.Layer>[0]);
  }

  override build(): void {
    const { storage = {} } = this.given;
    this.#factors = [
      new StoredMatrix(this, 'u0', [6, 4], storage['u0']),
      new StoredMatrix(this, 'basis', [4, 60], storage['basis']),
    ];
    this.built = true;
  }

  override computeOutputShape([batch]: (number | null)[]): (number | null)[] {
    return [batch!, 60];
  }

  override call(inputs: Tensor | Tensor[]): Tensor {
    const x = (Array.isArray(inputs) ? inputs[0]! : inputs) as Tensor2D;
    return tf.tidy(() => this.#factors.reduce((y, each) => tf.matMul(y, each.all()), x));
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), storage: (this.given.storage ?? {}) as never };
  }
}
tf.serialization.registerClass(TwoFactors);

function factorised(): tfl.LayersModel {
  const input = tfl.input({ shape: [6] });
  const hidden = new TwoFactors({ name: 'factors' } as never).apply(input) as tfl.SymbolicTensor;
  const logits = tfl.layers.dense({ name: 'logits', units: 5 }).apply(hidden) as tfl.SymbolicTensor;
  return tfl.model({ inputs: input, outputs: logits });
}

describe.each([...backendsUnderTest()])('on %s', (backend) => {
  beforeAll(() => onBackend(backend));

  test('matrices of a layer with storages get their own options; the rest trains on', async () => {
    const options: QuantizerOptions = {
      layers: ['factors'],
      bits: 4,
      matrices: { basis: { bits: 8 } },
    };
    const opening = open(factorised, options, { train: arraySource(WORDS) });
    await withSession(opening, async (session) => {
      await session.fit({ epochs: 1 });
      const before = await session.predict(tf.ones([2, 6]));
      await session.transform();
      const [line] = compressionReport(session.inspect().edits);
      expect(line).toMatchObject({
        layer: 'factors',
        summary: 'u0: 4 bits, symmetric, per tensor; basis: 8 bits, symmetric, per tensor',
        bytesBefore: 4 * (24 + 240),
        bytesAfter: 12 + 4 + 240 + 4,
      });
      const after = await session.predict(tf.ones([2, 6]));
      const gap = tf.norm(tf.sub(before['logits']!, after['logits']!)).dataSync()[0]!;
      expect(gap / tf.norm(before['logits']!).dataSync()[0]!).toBeLessThan(0.3);
      await session.fit({ untilEpoch: 2 });
      expect(session.parameters()['factors/u0_codes']!.dtype).toBe('int32');
    });
  });
});
