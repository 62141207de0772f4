import { definePlugin, Network, SOFT_TARGETS, stopGradient } from '@espalier/core';
import type { NamedTensors, PluginContext, SoftTargets } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { z } from 'zod';
import { listTaughtExits, taughtExits } from './list-taught-exits.js';
import { warnOutsideEpochs } from './warn-outside-epochs.js';

/**
 * The network as it was when the previous epoch ended teaches itself (progressive self-knowledge
 * distillation, Kim et al. 2021): provides `SOFT_TARGETS` with the detached logits `[batch, classes]` that
 * each exit had then for the batch's inputs as augmented now. It runs for inference (moving statistics,
 * no dropout). In the first epoch nobody teaches, and labels have their whole weight.
 *
 * The method distils with τ = 1 and a share of the soft loss that grows linearly with the epochs.
 *
 * @throws EspalierError in the first step: `previous-epoch/exits`.
 * @example
 * const alpha = { kind: 'linear', from: 0.8 / epochs, to: 0.8, epochs: epochs - 1 } as const;
 * const plugins = [previousEpoch(), exitDistillation({ alpha, temperature: 1 })];
 */
export const previousEpoch = definePlugin({
  id: 'previous-epoch',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-soft-targets#previousEpoch',
  options: z.strictObject({ exits: taughtExits }),
  apply(ctx, { exits }) {
    let earlier: NamedTensors = {};
    const replace = (values: NamedTensors) => {
      const kept = Object.entries(values).map(
        ([path, value]) => [path, tf.keep(tf.clone(value))] as const,
      );
      tf.dispose(earlier);
      earlier = Object.fromEntries(kept);
    };
    const findNetwork = rememberNetwork(ctx);
    const listOwn = () => {
      const values = ctx.parameters();
      return Object.fromEntries(
        findNetwork().parameters.map(({ path }) => [path, values[path]!] as const),
      );
    };
    ctx.hooks.epochEnd.tap(() => replace(listOwn()));
    warnOutsideEpochs(ctx, {
      lasts: () => Object.keys(earlier).length === 0,
      effect: 'nobody teaches until an epoch has ended',
    });
    // A network of another structure has no earlier self.
    ctx.hooks.structureChange.tap(({ added, dropped, reshaped }) => {
      if (added.length + dropped.length + reshaped.length > 0) replace({});
    });
    ctx.provide(SOFT_TARGETS, (): SoftTargets => ({
      name: 'previous-epoch',
      logits({ batch }) {
        const names = listTaughtExits(ctx, exits); // refuses in the first step, not in the second epoch
        if (Object.keys(earlier).length === 0) return {};
        const network = findNetwork();
        const logits = names.filter((name) => network.heads[name]!.gives === 'probabilities');
        const substitute = new Map(Object.entries(earlier));
        const how = { training: false, logits, substitute };
        const { outputs } = network.execute(batch.inputs, how);
        return Object.fromEntries(
          names.map((name) => [name, stopGradient(outputs[name]!) as Tensor2D]),
        );
      },
    }));
    ctx.keepState({
      version: 1,
      save: () => ({ tensors: earlier }),
      load: ({ tensors = {} }) => replace(tensors),
    });
    ctx.onTeardown(() => tf.dispose(earlier));
  },
});

/** The run's model as a function, made anew where the structure has changed. */
function rememberNetwork(ctx: Pick<PluginContext, 'model'>): () => Network {
  let made: { readonly model: LayersModel; readonly network: Network } | undefined;
  return () => {
    const model = ctx.model.layersModel;
    if (made?.model !== model) made = { model, network: new Network(model) };
    return made.network;
  };
}
