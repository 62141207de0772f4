import { EspalierError } from '@espalier/core';
import type { LayerInfo, ModelView } from '@espalier/core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { BranchKind } from '../options.js';
import { StopGradient } from './stop-gradient.js';

type Layer = tfl.layers.Layer;
type Shape = LayerInfo['outputShape'];

/** What a branch is made for. */
export interface BranchSpec {
  readonly kind: BranchKind;
  /** Name of the exit and of its last layer; the others are called `<name>_…`. */
  readonly name: string;
  /** The layer that feeds it. */
  readonly from: LayerInfo;
  /** Output of the network's last stage `[height, width, channels]`, if it has feature maps. */
  readonly last: Shape | undefined;
  readonly classes: number;
  /** How many exits are deeper, the network's own included. */
  readonly deeper: number;
  readonly detach: boolean;
}

/**
 * The layers of an exit, from the feature map to logits `[batch, classes]`:
 * - `linear`: mean over positions → dense;
 * - `bottleneck` (BYOT's code): 1×1 conv → C/4, k×k conv with stride k, 1×1 conv → C, the channels of
 *   the last stage, each with batch normalization and ReLU → mean → dense;
 * - `separable` (BYOT's later code): depthwise separable 3×3 convs with stride 2 down to the size and
 *   the channels of the last stage, each with batch normalization and ReLU → mean → dense.
 *
 * @throws EspalierError `multi-exit/feature-shape`.
 */
export function branchLayers(spec: BranchSpec): readonly Layer[] {
  const { name, from, kind, classes, detach } = spec;
  const convolutions = kind === 'linear' ? [] : CONVOLUTIONS[kind](spec, computeMaps(spec));
  return [
    ...(detach ? [new StopGradient({ name: `${name}_detach` })] : []),
    ...convolutions,
    ...pooling(name, from),
    tfl.layers.dense({ name, units: classes }),
  ];
}

/** Output shape of the last feature map on the way to the head. */
export function lastStage(view: ModelView, body: ReadonlySet<string>): Shape | undefined {
  const maps = view.layers.filter(
    (layer) => body.has(layer.name) && layer.outputShape.length === 3,
  );
  return maps.at(-1)?.outputShape;
}

interface Maps {
  readonly channels: number;
  readonly lastChannels: number;
  /** Factor by which the branch has to shrink height and width; at least 2. */
  readonly ratio: number;
}

const CONVOLUTIONS = { bottleneck, separable } as const;

function bottleneck({ name }: BranchSpec, { lastChannels, ratio }: Maps): Layer[] {
  const conv = (part: string, filters: number, k = 1) =>
    tfl.layers.conv2d({ name: part, filters, kernelSize: k, strides: k, useBias: false });
  const narrow = Math.max(1, Math.floor(lastChannels / 4));
  return [
    ...normalize(conv(`${name}_reduce`, narrow)),
    ...normalize(conv(`${name}_stride`, narrow, ratio)),
    ...normalize(conv(`${name}_expand`, lastChannels)),
  ];
}

function separable({ name }: BranchSpec, { channels, lastChannels, ratio }: Maps): Layer[] {
  const steps = Math.max(1, Math.round(Math.log2(ratio)));
  const widths = Array.from({ length: steps }, (_, i) =>
    i === steps - 1 ? lastChannels : Math.min(lastChannels, channels * 2 ** (i + 1)),
  );
  return widths.flatMap((filters, i) =>
    normalize(
      tfl.layers.separableConv2d({
        name: `${name}_separable${i + 1}`,
        filters,
        kernelSize: 3,
        strides: 2,
        padding: 'same',
        useBias: false,
      }),
    ),
  );
}

function normalize(conv: Layer): Layer[] {
  // PyTorch's defaults, which BYOT used: tfjs's momentum of 0.99 needs hundreds of steps to settle.
  const norm = tfl.layers.batchNormalization({
    name: `${conv.name}_norm`,
    momentum: 0.9,
    epsilon: 1e-5,
  });
  return [conv, norm, tfl.layers.reLU({ name: `${conv.name}_relu` })];
}

function pooling(name: string, { name: layer, outputShape }: LayerInfo): Layer[] {
  const pool = { name: `${name}_pool` };
  if (outputShape.length === 1) return [];
  if (outputShape.length === 2) return [tfl.layers.globalAveragePooling1d(pool)];
  if (outputShape.length === 3) return [tfl.layers.globalAveragePooling2d(pool)];
  throw new EspalierError('multi-exit/feature-shape', {
    problem: `no exit can be put behind '${layer}': its output must be [batch, features], [batch, steps, features] or [batch, height, width, channels]`,
    received: ['batch', ...outputShape],
    fix: 'Choose a layer with such an output.',
  });
}

function computeMaps({ kind, from, last, deeper }: BranchSpec): Maps {
  const [height, width, channels] = from.outputShape;
  if (from.outputShape.length !== 3 || !last) {
    throw new EspalierError('multi-exit/feature-shape', {
      problem: `a ${kind} branch convolves feature maps [batch, height, width, channels]; '${from.name}' gives none`,
      received: ['batch', ...from.outputShape],
      fix: "Use branch: 'linear' for vectors and sequences, or choose a layer before the flattening.",
    });
  }
  const smallest = Math.min(height ?? Infinity, width ?? Infinity);
  const known = height !== null && last[0] !== null;
  const ratio = known ? Math.round(height! / last[0]!) : 2 ** deeper;
  return {
    channels: channels!,
    lastChannels: last[2]!,
    ratio: Math.min(smallest, Math.max(2, ratio)),
  };
}
