import {
  checkClassifier,
  crossEntropy,
  definePlugin,
  EXITS,
  SOFT_TARGETS,
  stopGradient,
} from '@espalier/core';
import type { AuxiliaryOptions, Clock, ForwardResult } from '@espalier/core';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import { findLevels } from './levels.js';
import type { Level } from './levels.js';
import { labelGeneratorOptions } from './options.js';
import type { LabelWeight } from './options.js';
import { buildLabelPyramid, featuresName, headName } from './pyramid.js';

/**
 * A network of its own makes the soft targets of the shallow exits from the features of the deeper
 * ones, fused from the top down (MetaDistiller, Liu et al. 2020): provides `SOFT_TARGETS` with logits
 * `[batch, classes]` for each exit but the last. The network is in the parameter group
 * `label-generator` and is never exported.
 *
 * The divergence that a student is trained by never trains the generator. What does is the
 * cross-entropy of its own logits with the labels (terms `label-generator/<exit>`, option `labelWeight`),
 * or a plugin that differentiates by the labels that it makes. The temperature is the consumer's.
 *
 * @throws EspalierError at setup: `services/missing`, `label-generator/…`.
 * @example
 * const plugins = [multiExit(), labelGenerator({ channels: 32 }), exitDistillation()];
 */
export const labelGenerator = definePlugin({
  id: 'label-generator',
  version: '0.1.0',
  exportedAs: '@espalier/plugin-soft-targets#labelGenerator',
  options: labelGeneratorOptions,
  effects: { loss: 'add', 'structure:networks': 'add' },
  stateless: true,
  apply(ctx, { detach, labelWeight, ...design }) {
    ctx.needs(EXITS);
    let levels: readonly Level[] = [];
    const findOwnExit = () => ctx.get(EXITS).names.at(-1)!;
    const network = ctx.addNetwork(() => {
      checkClassifier(ctx, findOwnExit());
      levels = findLevels(ctx.model, ctx.get(EXITS));
      ctx.requestFeatures(levels.map(({ layer }) => layer));
      const classes = ctx.model.outputShapes[findOwnExit()]![1]!;
      return buildLabelPyramid(
        levels.map(({ shape }) => shape),
        classes,
        design,
      );
    });
    const logits = ({ features }: ForwardResult, options?: AuxiliaryOptions) => {
      const inputs = levels.map(({ layer }, i) => {
        const map = features[layer]!;
        return [featuresName(i), detach ? stopGradient(map) : map] as const;
      });
      const outputs = network.execute(Object.fromEntries(inputs), options);
      const taught = ctx.get(EXITS).names.slice(0, -1);
      return taught.map((exit, i) => [exit, outputs[headName(i)] as Tensor2D] as const);
    };
    ctx.provide(SOFT_TARGETS, () => ({
      name: 'label-generator',
      logits: (context) => Object.fromEntries(logits(context, { detach: true })),
    }));

    const { perExample } = crossEntropy();
    ctx.hooks.loss.tap((context) => {
      const { terms, mean, targets, clock } = context;
      const weight = weightAt(labelWeight, clock);
      if (weight === 0) return;
      for (const [exit, generated] of logits(context)) {
        terms.add(exit, mean(perExample(generated, targets[findOwnExit()]!)), { weight });
      }
    });
  },
});

function weightAt(labelWeight: LabelWeight, { step }: Clock): number {
  if (typeof labelWeight === 'number') return labelWeight;
  const { weight, steps = Infinity } = labelWeight;
  return step < steps ? weight : 0;
}
