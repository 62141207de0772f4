import { EspalierError } from '@espalier/core';
import type { LayerEntry, ModelGraph } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { isWordMatrix, listMatrices } from './storable-matrices.js';
import type { StoredMatrix } from './stored-matrix.js';

type Layer = tfl.layers.Layer;
type AddWeight = Parameters<Layer['addWeight']>;

/** A regularizer or a constraint as `getConfig` of a layer writes it. */
export type WrittenRule = tf.serialization.ConfigDict | null;

/** What a dense layer's configuration says of its matrix and its bias, as `getConfig` writes it. */
export interface WrittenRules {
  readonly kernelRegularizer?: WrittenRule;
  readonly biasRegularizer?: WrittenRule;
  readonly biasConstraint?: WrittenRule;
}

/** The same as what acts; null: nothing. */
export interface Rules {
  readonly kernelRegularizer: Regularizes | null;
  readonly biasRegularizer: AddWeight[4] | null;
  readonly biasConstraint: AddWeight[6] | null;
}

/** What makes a penalty of a weight. */
export interface Regularizes {
  apply(x: Tensor): Scalar;
}

/** Reads rules by their classes, as a dense layer does. */
export function readRules(written: WrittenRules): Rules {
  const { kernelRegularizer, biasRegularizer, biasConstraint } = written;
  const given = { kernelRegularizer, biasRegularizer, biasConstraint };
  return tfl.layers.dense({
    name: 'rules',
    units: 1,
    ...(given as object),
  }) as unknown as Rules;
}

/**
 * Lets a layer's regularizer act on its decoded matrix, as long as something of that trains. To be
 * called in `build`.
 *
 * @param decode Gives the matrix as the plain layer holds it.
 */
export function penalizeMatrix(
  layer: Layer,
  regularizer: Regularizes | null | undefined,
  { parts, decode }: { readonly parts: readonly StoredMatrix[]; decode(): Tensor },
): void {
  if (!regularizer || !parts.some(({ trains }) => trains)) return;
  layer.addLoss(() => tf.tidy(() => regularizer.apply(decode())));
}

const REGULARIZERS = ['kernelRegularizer', 'embeddingsRegularizer'] as const;
const CONSTRAINTS = ['kernelConstraint', 'embeddingsConstraint'] as const;

/** What becomes of the rules of a layer for its matrix, in words; for the account. */
export function describeRules({ config }: Pick<LayerEntry, 'config'>, trains: boolean): string[] {
  const stops = 'stops, since nothing of the matrix trains';
  const said = (keys: readonly string[], stays: string) =>
    keys.filter((key) => config[key]).map((key) => `${key} ${trains ? stays : stops}`);
  return [...said(REGULARIZERS, 'acts on the decoded matrix'), ...said(CONSTRAINTS, 'is kept')];
}

/** Which layers a plugin means: all with a large enough matrix of words, or some by name. */
export interface ChosenLayers {
  readonly layers: 'auto' | readonly string[];
  readonly minimum: number;
}

/**
 * Refuses layers with a constraint on the matrix, where what comes into its place cannot keep one.
 *
 * @throws EspalierError `<plugin>/constraint`.
 */
export function refuseConstraints(
  graph: ModelGraph,
  { layers, minimum }: ChosenLayers,
  plugin: string,
): void {
  const isLarge = (entry: LayerEntry) =>
    listMatrices(graph, entry).some(
      ({ shape }) => isWordMatrix(entry, shape) && shape[0] * shape[1] >= minimum,
    );
  for (const entry of graph.topology.config.layers) {
    const key = CONSTRAINTS.find((each) => entry.config[each]);
    if (key === undefined) continue;
    if (layers === 'auto' ? !isLarge(entry) : !layers.includes(entry.name)) continue;
    throw new EspalierError(`${plugin}/constraint`, {
      problem: `layer '${entry.name}' has a ${key}, which no part of what comes into its place could keep`,
      received: entry.config[key],
      fix: `Leave out the constraint, or the layer: name the others with layers: [ … ].`,
    });
  }
}
