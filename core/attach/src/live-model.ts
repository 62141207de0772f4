import { EspalierError, Network } from '@espalier/core';
import { holdSame, listParameters } from '@espalier/model';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { mapPaths } from './compiled-model.js';
import type { CompiledModel } from './compiled-model.js';
import type { Shadow } from './shadow.js';
import type { Training } from './training.js';

/**
 * The caller's model where a transform replaced some of its layers: predictions, evaluations and files are
 * then those of the live network, and weights are decoded from it.
 */
export class LiveModel {
  /** Layers of the caller's model, by name, of which the live network holds others. */
  #replaced: ReadonlySet<string> = new Set();
  #decoded: Tensor[] = [];
  #network!: CompiledModel;

  constructor(
    private readonly training: Training,
    private readonly shadow: Shadow,
  ) {}

  /** Looks which layers the network of a session has replaced. */
  follow(): void {
    const first = this.#replaced.size === 0;
    this.#replaced = findReplaced(this.training.model, this.training.session.model);
    if (this.#replaced.size === 0) return;
    this.#network = makeLive(this.training);
    if (first) this.#install();
    this.#refuseSetWeights();
  }

  /** Copies what the live network has learned into the layers that it had replaced. */
  writeBack(): void {
    if (this.#replaced.size === 0) return;
    const weights = this.#decode();
    this.shadow.restore();
    this.training.model.setWeights(weights);
    this.dispose();
  }

  dispose(): void {
    tf.dispose(this.#decoded);
    this.#decoded = [];
  }

  /** @throws EspalierError `attach/replaced`. */
  refuseReplaced(what: string): void {
    const [layer] = this.#replaced;
    if (layer === undefined) return;
    throw new EspalierError('attach/replaced', {
      problem: `${what}: a transform has replaced layer '${layer}' of the attached model, and the live network computes with another one`,
      received: [...this.#replaced],
      fix: 'Set weights and compile before run.transform(), or after run.detach(), which decodes them.',
    });
  }

  #install(): void {
    const { trained, model, session } = this.training;
    this.shadow.replace<CompiledModel>(trained, {
      makeTestFunction: () => {
        this.#network.makeTestFunction();
        trained.testFunction = this.#network.testFunction;
      },
      predictLoop: (...args) => this.#network.predictLoop(...args),
    });
    this.shadow.replace(model, {
      save: async (handler, config) => {
        const copy = session.export();
        try {
          return await copy.save(handler, config);
        } finally {
          copy.dispose();
        }
      },
      getWeights: () => this.#decode(),
      setWeights: () => this.refuseReplaced('model.setWeights'),
    });
  }

  #refuseSetWeights(): void {
    for (const layer of this.training.model.layers) {
      if (!this.#replaced.has(layer.name)) continue;
      this.shadow.replace(layer, {
        setWeights: () => this.refuseReplaced(`setWeights of '${layer.name}'`),
      });
    }
  }

  /** Decoded weights in the order of the caller's model; they live until the next call. */
  #decode(): Tensor[] {
    this.dispose();
    const { model, session } = this.training;
    const dense = session.export({ dense: true });
    const values = new Map(
      listParameters(dense).map(({ path, variable }) => [path, variable.read()]),
    );
    const paths = mapPaths(model);
    this.#decoded = model.weights.map((variable) => tf.clone(values.get(paths.get(variable)!)!));
    dense.dispose();
    return this.#decoded;
  }
}

/** Names of the model's layers that hold a weight which the live network does not. */
function findReplaced(model: LayersModel, live: LayersModel): ReadonlySet<string> {
  const held = new Map(listParameters(live).map(({ path, variable }) => [path, variable]));
  const lost = listParameters(model).filter(({ path, variable }) => {
    const found = held.get(path);
    return !found || !holdSame(found, variable);
  });
  const variables = new Set(lost.map(({ variable }) => variable));
  const replaced = model.layers.filter(({ weights }) =>
    weights.some((each) => variables.has(each)),
  );
  return new Set(replaced.map(({ name }) => name));
}

/** The live network with the outputs of the caller's model, and what that was compiled with. */
function makeLive({ session, losses, trained }: Training): CompiledModel {
  const { inputs, outputs } = session.model;
  const { outputNames } = new Network(session.model);
  const own = losses.map(({ output }) => outputs[outputNames.indexOf(output)]!);
  const live = tfl.model({ inputs, outputs: own }) as unknown as CompiledModel;
  const { lossFunctions, metricsTensors, metricsNames } = trained;
  return Object.assign(live, { lossFunctions, metricsTensors, metricsNames });
}
