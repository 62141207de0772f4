import { EspalierError } from '@espalier/core';
import type { Exits, LayerInfo, ModelView } from '@espalier/core';

/** A feature map that the generator fuses. */
export interface Level {
  /** The layer that gives it. */
  readonly layer: string;
  /** Without the batch: `[channels]`, `[steps, channels]` or `[height, width, channels]`. */
  readonly shape: readonly number[];
}

/**
 * The feature maps of all exits, shallowest first. That of the last exit is the last one of the same
 * kind before the network's own head, which may pool first.
 *
 * @throws EspalierError `label-generator/no-exits`, `label-generator/feature-shape`,
 * `label-generator/mixed-features`, `label-generator/no-deepest`.
 */
export function findLevels(view: ModelView, { names, layers }: Exits): readonly Level[] {
  if (names.length < 2) throw noExits(names);
  const auxiliary = layers.slice(0, -1).map((name) => findLayer(view, name));
  const [first] = auxiliary;
  const mixed = auxiliary.find((layer) => countDimensions(layer) !== countDimensions(first!));
  if (mixed) throw mixedFeatures(first!, mixed);
  const levels = auxiliary.map(describeLevel);
  return [...levels, describeLevel(deepest(view, layers.at(-1)!, first!))];
}

function findLayer(view: ModelView, name: string): LayerInfo {
  return view.layers.find((layer) => layer.name === name)!;
}

/** The last layer of the same kind as `like` that is `layer` or leads to it. */
function deepest(view: ModelView, layer: string, like: LayerInfo): LayerInfo {
  const before = new Set([layer]);
  for (const { name, inbound } of view.layers.toReversed()) {
    if (before.has(name)) inbound.forEach((each) => before.add(each));
  }
  const found = view.layers
    .filter(({ name }) => before.has(name) && !view.inputNames.includes(name))
    .findLast((each) => countDimensions(each) === countDimensions(like));
  if (found) return found;
  throw new EspalierError('label-generator/no-deepest', {
    problem: `no layer up to '${layer}', which feeds the last exit, has features like those of '${like.name}'`,
    received: withBatch(like),
    fix: 'Put the exits on layers of the kind that the network ends with.',
  });
}

function describeLevel(layer: LayerInfo): Level {
  const { name, outputShape: shape } = layer;
  const known = shape.every((size) => size !== null);
  if (known && [1, 2, 3].includes(shape.length)) return { layer: name, shape };
  throw new EspalierError('label-generator/feature-shape', {
    problem: `the generator cannot take the features of '${name}': they must be [batch, features], [batch, steps, features] or [batch, height, width, channels], of known size`,
    received: withBatch(layer),
    fix: known
      ? 'Put the exit on a layer with such an output.'
      : 'Give the model an inputShape without null.',
  });
}

const countDimensions = ({ outputShape }: LayerInfo) => outputShape.length;
const withBatch = ({ outputShape }: LayerInfo) => ['batch', ...outputShape];

function noExits(names: readonly string[]): EspalierError {
  return new EspalierError('label-generator/no-exits', {
    problem: 'there is no auxiliary exit to make labels for',
    received: names,
    fix: 'Give the network an exit before its last: multiExit({ at: [ … ] }).',
  });
}

function mixedFeatures(first: LayerInfo, other: LayerInfo): EspalierError {
  return new EspalierError('label-generator/mixed-features', {
    problem: `the exits stand on features of different kinds: '${first.name}' gives [${withBatch(first).join(', ')}], '${other.name}' [${withBatch(other).join(', ')}]`,
    fix: 'Put all exits on feature maps, all on sequences or all on vectors, e.g. before the flattening.',
  });
}
