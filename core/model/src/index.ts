export { buildModel } from './graph/build.js';
export type { BuildOptions } from './graph/build.js';
export { copyModel } from './graph/copy-model.js';
export { addOutput, appendLayers, keepOutputs, replaceLayer } from './graph/edits.js';
export { valueAndGradients } from './run/gradients.js';
export type { Forward } from './run/gradients.js';
export { tidyExcept } from './run/tidy-except.js';
export type { EditRecord } from './graph/edit-record.js';
export { refuseFunctions } from './functions/function-layer.js';
export { makeFunctionModel } from './functions/make-function-model.js';
export type {
  ExampleShape,
  FunctionInputs,
  FunctionModelOptions,
  InputShapes,
  ParameterValues,
} from './functions/make-function-model.js';
export { extractGraph, findOwner } from './graph/graph.js';
export type {
  GraphConfig,
  LayerEntry,
  ModelEdit,
  ModelGraph,
  OutputRef,
  Topology,
} from './graph/graph.js';
export { canonicalOr, filterNames, toCanonicalName } from './graph/names.js';
export type { OwnNames } from './graph/names.js';
export { listOwnNames } from './graph/own-names.js';
export type { EndsInActivation, Head } from './describe/heads.js';
export { refuseLateCopy } from './weights/late-copy.js';
export { currentLayer } from './run/intercept.js';
export { withKeyedInit } from './weights/keyed-init.js';
export type { IdInput } from './describe/id-inputs.js';
export { listLayersTo, countMacs, countMacsTo, listUncountedLayers } from './describe/macs.js';
export type { Macs } from './describe/macs.js';
export {
  constrain,
  hasConstraint,
  isWrittenExactly,
  writeExactly,
} from './weights/layer-variables.js';
export { listTrainablePaths } from './weights/can-train.js';
export { carryTraining, ModelWatch } from './weights/model-watch.js';
export type { TrainingFlags } from './weights/model-watch.js';
export { Network } from './run/network.js';
export type { ExecuteOptions, Executed, NetworkOptions } from './run/network.js';
export {
  disposeNewWeights,
  listNewWeights,
  noteExistingWeights,
  orUndo,
} from './weights/existing-weights.js';
export type { ExistingWeights } from './weights/existing-weights.js';
export { takeOwnModel } from './weights/ownership.js';
export { canonicalNames, listParameters } from './weights/parameters.js';
export { disposeModel, holdSame } from './weights/shared.js';
export type { Parameter } from './weights/parameters.js';
export type { Regularizer } from './describe/regularizers.js';
export { isPlainClass, plainModel, unplainLayers } from './graph/plain-layers.js';
export type { HasPlainLayer, PlainLayer } from './graph/plain-layers.js';
export { viewModel } from './describe/view.js';
export type { LayerInfo, ModelView, ViewOptions } from './describe/view.js';
export { withRandom } from './with-random.js';
export type { Rng, StreamByKey } from './with-random.js';
export { listConstrainedLayers, withoutConstraints } from './graph/without-constraints.js';
