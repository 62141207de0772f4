import { definePlugin, EspalierError } from '@espalier/core';
import type { Batch, NamedTensors } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';

const options = z.strictObject({
  /** Which output each state input goes on from. */
  carry: z.record(z.string(), z.string()),
});

/**
 * Truncated back-propagation through time: each step starts with the states that the step before
 * left, an epoch with those of its source (zeros). It takes them from the step's own evaluation of
 * the loss, so there is no second forward pass; and so a step may have one micro-batch only. Evaluations
 * of a session keep the states of their source: see `perplexity` for a text with its states.
 *
 * @throws EspalierError `carried-state/output`, `carried-state/accumulate`, `carried-state/size`.
 * @example
 * carriedState({ carry: { h: 'next_h', c: 'next_c' } });
 */
export const carriedState = definePlugin({
  id: 'carried-state',
  version: '1.0.0',
  options,
  effects: { 'batch:states': 'replace', loss: 'add' },
  apply(ctx, { carry }) {
    /** Left by the step before; empty at an epoch's start. */
    let carried: NamedTensors = {};
    /** Of the step under way, until it is applied. */
    let behind: NamedTensors = {};
    const replace = (next: NamedTensors) => {
      tf.dispose(carried);
      carried = next;
    };
    ctx.hooks.epochStart.tap(() => replace({}));
    ctx.hooks.batch.tap((batch) => withStates(batch, carried));
    ctx.hooks.beforeStep.tap(({ microBatches: window }) => {
      if (window.length > 1) throw accumulates(window.length);
    });
    ctx.hooks.loss.tap(({ outputs, nested }) => {
      if (nested) return;
      tf.dispose(behind);
      behind = statesIn(outputs, carry);
    });
    ctx.hooks.afterApply.tap(() => {
      replace(behind);
      behind = {};
    });
    ctx.keepState({
      version: 1,
      save: () => ({ tensors: carried }),
      load: ({ tensors = {} }) => replace(kept(tensors)),
    });
    ctx.onTeardown(() => tf.dispose([carried, behind] as unknown as tf.Tensor[]));
  },
});

function withStates(batch: Batch, states: NamedTensors): Batch {
  for (const [name, state] of Object.entries(states)) {
    if (state.shape[0] !== batch.size) throw otherSize(name, state.shape[0]!, batch.size);
  }
  const given = Object.entries(states).map(([name, state]) => [name, tf.clone(state)]);
  return { ...batch, inputs: { ...batch.inputs, ...Object.fromEntries(given) } };
}

function statesIn(outputs: NamedTensors, carry: Readonly<Record<string, string>>): NamedTensors {
  const states = Object.entries(carry).map(([input, output]) => {
    if (!outputs[output]) throw noOutput(output, Object.keys(outputs));
    return [input, outputs[output]] as const;
  });
  return kept(Object.fromEntries(states));
}

function kept(tensors: NamedTensors): NamedTensors {
  const copies = Object.entries(tensors).map(([name, x]) => [name, tf.keep(tf.clone(x))]);
  return Object.fromEntries(copies) as NamedTensors;
}

function noOutput(output: string, known: readonly string[]): EspalierError {
  return new EspalierError('carried-state/output', {
    problem: `the model has no output '${output}' to carry on from`,
    received: known,
    fix: 'Name outputs of the model in carry: { input: output }.',
  });
}

function accumulates(length: number): EspalierError {
  return new EspalierError('carried-state/accumulate', {
    problem: 'a step must have one micro-batch: the second would start before the first has states',
    received: length,
    fix: 'Create the session with accumulate: 1.',
  });
}

function otherSize(name: string, carried: number, size: number): EspalierError {
  return new EspalierError('carried-state/size', {
    problem: `the carried state '${name}' has ${carried} streams, this batch has ${size}`,
    fix: 'Use a source whose batches all have the same size, such as streamSource.',
  });
}
