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

/** Regularizers and constraints in a layer’s configuration, as `getConfig` writes them. */
export interface WrittenRules {
  readonly kernelRegularizer?: WrittenRule;
  readonly biasRegularizer?: WrittenRule;
  readonly biasConstraint?: WrittenRule;
}

/** Regularizers and constraints of a layer, ready to use; `null` where there is none. */
export interface Rules {
  readonly kernelRegularizer: Regularizes | null;
  readonly biasRegularizer: AddWeight[4] | null;
  readonly biasConstraint: AddWeight[6] | null;
}

/** A regularizer: a penalty of a weight. */
export interface Regularizes {
  /** The penalty of the weight. */
  apply(x: Tensor): Scalar;
}

/**
 * Makes regularizers and constraints from their configuration, as a dense layer does.
 *
 * @example
 * const { kernelRegularizer } = readRules(config);
 */
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
 * Applies a layer's regularizer to its decoded matrix, as long as something of that matrix trains. Call it in
 * `build`.
 *
 * @param decode Gives the matrix in the form of the plain layer.
 * @example
 * penalizeMatrix(this, rules.kernelRegularizer, { parts: [matrix], decode: () => matrix.all() });
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

/**
 * Says what happens to a layer's regularizers and constraints when its matrix is stored otherwise: lines for the
 * compression report.
 *
 * @param trains Whether something of the new storage trains.
 * @example
 * describeRules(entry, true); // ['kernelRegularizer acts on the decoded matrix']
 */
export function describeRules({ config }: Pick<LayerEntry, 'config'>, trains: boolean): string[] {
  const stops = 'stops, since nothing of the matrix trains';
  const said = (keys: readonly string[], stays: string) =>
    keys.filter((key) => config[key]).map((key) => `${key} ${trains ? stays : stops}`);
  return [...said(REGULARIZERS, 'acts on the decoded matrix'), ...said(CONSTRAINTS, 'is kept')];
}

/** Which layers a plugin means: all with a large enough matrix of words, or some by name. */
export interface ChosenLayers {
  /** Names of layers, or `auto` for all that are large enough. */
  readonly layers: 'auto' | readonly string[];
  readonly minSize: number;
}

/**
 * Refuses layers with a constraint on the matrix, where what comes into its place cannot keep one.
 *
 * @throws EspalierError `<plugin>/constraint`.
 * @example
 * refuseConstraints(graph, { layers: 'auto', minimum: 1024 }, 'prune');
 */
export function refuseConstraints(
  graph: ModelGraph,
  { layers, minSize }: ChosenLayers,
  plugin: string,
): void {
  const isLarge = (entry: LayerEntry) =>
    listMatrices(graph, entry).some(
      ({ shape }) => isWordMatrix(entry, shape) && shape[0] * shape[1] >= minSize,
    );
  for (const entry of graph.topology.config.layers) {
    const key = CONSTRAINTS.find((each) => entry.config[each]);
    if (key === undefined) continue;
    if (layers === 'auto' ? !isLarge(entry) : !layers.includes(entry.name)) continue;
    throw new EspalierError(`${plugin}/constraint`, {
      problem: `layer '${entry.name}' has a ${key}, which the layers that replace it cannot keep`,
      received: entry.config[key],
      fix: `Leave out the constraint, or the layer: name the others with layers: [ … ].`,
    });
  }
}
