export { buildModel } from './build.js';
export { copyModel } from './copy-model.js';
export { addOutput, appendLayers, keepOutputs, replaceLayer } from './edits.js';
export { valueAndGradients } from './gradients.js';
export type { Forward } from './gradients.js';
export { tidyExcept } from './tidy-except.js';
export type { EditRecord } from './edit-record.js';
export { extractGraph, findOwner } from './graph.js';
export type {
  GraphConfig,
  LayerEntry,
  ModelEdit,
  ModelGraph,
  OutputRef,
  Topology,
} from './graph.js';
export type { EndsInActivation, Head } from './heads.js';
export { refuseForeignTensor } from './foreign.js';
export { refuseLateCopy } from './late-copy.js';
export { currentLayer } from './intercept.js';
export { withKeyedInit } from './keyed-init.js';
export type { IdInput } from './id-inputs.js';
export { listLayersTo, countMacs, countMacsTo, listUncountedLayers } from './macs.js';
export type { Macs } from './macs.js';
export { constrain, isWrittenExactly, writeExactly } from './layer-variables.js';
export { carryTraining, ModelWatch } from './model-watch.js';
export type { TrainingFlags } from './model-watch.js';
export { Network } from './network.js';
export type { ExecuteOptions, Executed } from './network.js';
export { disposeNewWeights, noteExistingWeights } from './existing-weights.js';
export type { ExistingWeights } from './existing-weights.js';
export { takeOwnModel } from './ownership.js';
export { canonicalNames, disposeModel, listParameters } from './parameters.js';
export type { Parameter } from './parameters.js';
export type { Regularizer } from './regularizers.js';
export { isPlainClass, plainModel, unplainLayers } from './plain-layers.js';
export type { HasPlainLayer, PlainLayer } from './plain-layers.js';
export { viewModel } from './view.js';
export type { LayerInfo, ModelView } from './view.js';
export { withRandom } from './with-random.js';
export type { Rng, StreamByKey } from './with-random.js';
export { listConstrainedLayers, withoutConstraints } from './without-constraints.js';
