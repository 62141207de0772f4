import {
  accuracy,
  appendLayers,
  checkClassifier,
  crossEntropy,
  definePlugin,
  EXITS,
  FEATURE_MAPS,
  countMacsTo,
} from '@espalier/core';
import type { EvaluateContext, Exits, FeatureMaps, ModelView } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { branchLayers, lastStage } from './exits/branches.js';
import { findClassifier } from './exits/classifier.js';
import { nameExit } from './exits/exit-names.js';
import { exitPlaces } from './exits/exit-places.js';
import { weightAt, weightPerExit } from './exits/exit-weights.js';
import { multiExitOptions } from './options.js';

/**
 * Gives a classifier exits before its end, `exit_1`, `exit_2`, … from the shallowest, each trained by
 * the cross-entropy with the same targets as the network's own output, which is the last exit
 * (deeply supervised nets, Lee et al. 2015; BranchyNet, Teerapittayanon et al. 2016). Terms:
 * `multi-exit/exit_1`, …; metrics of steps and evaluations: `accuracy/exit_1`, …, and `accuracy/ensemble`
 * of the mean probabilities of all exits. Provides `EXITS` and `FEATURE_MAPS`.
 *
 * @throws EspalierError at setup: `multi-exit/…`, `edit/…`.
 * @example
 * const session = await createSession({
 *   model, loss: crossEntropy(), optimizer: sgd({ learningRate: 0.1 }), train,
 *   plugins: [multiExit({ at: 'block_*_out', weights: [0.3, 0.6] })],
 * });
 * await session.fit({ epochs: 10 });
 * const own = session.export();
 * const early = session.export({ outputs: ['exit_1', 'logits'] });
 */
export const multiExit = definePlugin({
  id: 'multi-exit',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-multi-exit#multiExit',
  options: multiExitOptions,
  effects: { loss: 'add', 'structure:exits': 'own' },
  stateless: true,
  apply(ctx, { at, branch, weights, detach, output }) {
    const classifier = findClassifier(ctx.model, output);
    checkClassifier(ctx, classifier.output);
    const places = exitPlaces(ctx.model, at, classifier, branch !== 'linear');
    const perExit = weightPerExit(
      weights,
      places.map(({ name }) => name),
    );
    const last = lastStage(ctx.model, classifier.body);
    const branches = places.map((from, i) =>
      branchLayers({
        kind: branch,
        name: nameExit(i + 1),
        from,
        last,
        classes: classifier.classes,
        deeper: places.length - i,
        detach,
      }),
    );
    ctx.edit((graph) =>
      branches.reduce(
        (edited, layers, i) =>
          appendLayers(edited, { after: places[i]!.name, layers, output: true }),
        graph,
      ),
    );

    const own = classifier.output;
    const auxiliary = branches.map((layers) => layers.at(-1)!.name);
    const names = [...auxiliary, own];
    // A dense layer right behind the network's own vector has that vector for features.
    const inputs = branches.map((layers, i) => layers.at(-2)?.name ?? places[i]!.name);
    const features = [...inputs, classifier.features];
    ctx.requestFeatures(features);
    const layers = [...places.map(({ name }) => name), classifier.features];
    ctx.provide(EXITS, () => makeExits(() => ctx.model, { id: ctx.id, auxiliary, own, layers }));
    ctx.provide(FEATURE_MAPS, () => makeFeatureMaps(names, features));

    const { perExample } = crossEntropy();
    const reportAccuracy = ({ outputs, targets, metric }: Judged) => {
      auxiliary.forEach((exit) => {
        metric(`accuracy/${exit}`, accuracy(outputs[exit]!, targets[own]!));
      });
      const all = names.map((name) => outputs[name]!);
      metric('accuracy/ensemble', accuracy(meanProbabilities(all), targets[own]!));
    };
    ctx.hooks.loss.tap((context) => {
      const { outputs, targets, terms, mean, clock } = context;
      auxiliary.forEach((exit, i) => {
        const weight = weightAt(perExit[i]!, clock.epoch);
        terms.add(exit, mean(perExample(outputs[exit]!, targets[own]!)), { weight });
      });
      if (!context.nested) reportAccuracy(context);
    });
    ctx.hooks.evaluate.tap(reportAccuracy);
  },
});

type Judged = Pick<EvaluateContext, 'outputs' | 'targets' | 'metric'>;

interface ExitParts extends Pick<Exits, 'layers'> {
  readonly id: string;
  readonly auxiliary: readonly string[];
  readonly own: string;
}

function makeExits(view: () => ModelView, { id, auxiliary, own, layers }: ExitParts): Exits {
  const names = [...auxiliary, own];
  return {
    names,
    layers,
    terms: Object.fromEntries(auxiliary.map((exit) => [exit, `${id}/${exit}`])),
    get macs() {
      return names.map((name) => countMacsTo(view(), [name]));
    },
  };
}

function makeFeatureMaps(names: readonly string[], layers: readonly string[]): FeatureMaps {
  return {
    features: ({ features }) =>
      Object.fromEntries(names.map((name, i) => [name, features[layers[i]!]!])),
  };
}

/** `[batch, classes]` from the logits of several exits. */
function meanProbabilities(logits: readonly Tensor[]): Tensor {
  return tf.mean(tf.stack(logits.map((each) => tf.softmax(each))), 0);
}
