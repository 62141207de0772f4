/** An operation whose second derivative stays wrong or missing with all repairs in force. */
export interface UnsafeOperation {
  /** The public name, as in `tf.<op>`. */
  readonly op: string;
  /** The name under which the engine records it: a kernel, or the scope of a custom gradient. */
  readonly recordedAs: string;
  /** What its second derivative does. */
  readonly kind: 'silently wrong' | 'throws';
  /** The reason, as a sentence. */
  readonly why: string;
  /** What to write instead, as a sentence. */
  readonly instead: string;
}

/** Decided by measurement: `test/gradients/guard.test.ts` shows each of them failing. */
export const unsafeSecondOrder: readonly UnsafeOperation[] = [
  {
    op: 'losses.softmaxCrossEntropy',
    recordedAs: 'softmaxCrossEntropy__op',
    kind: 'silently wrong',
    why: 'It saves log-probabilities that the tape does not connect with the logits.',
    instead: 'Use tf.neg(tf.sum(tf.mul(labels, tf.logSoftmax(logits)), -1)).',
  },
  {
    op: 'dilation2d',
    recordedAs: 'Dilation2D',
    kind: 'throws',
    why: 'Its two gradient kernels have no gradient of their own.',
    instead: 'Use tf.maxPool where the structuring element is flat.',
  },
];
