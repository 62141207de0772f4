import { EspalierError, suggest } from '@espalier/core';
import type { NamedTensors, Network, RawBatch } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { CompiledLoss } from './compiled-losses.js';
import type { TensorsOfTfjs } from './compiled-model.js';

/** Translates the batches of tfjs, which go by position, into those of a session, which go by name. */
export class BatchTranslator {
  readonly #inputs: readonly string[];

  constructor(
    private readonly model: LayersModel,
    { inputNames }: Pick<Network, 'inputNames'>,
    private readonly losses: readonly CompiledLoss[],
  ) {
    this.#inputs = inputNames;
  }

  /** Inputs, then targets, then weights if there are any. Call it in a `tf.tidy`, or own what is new. */
  fromList(data: readonly Tensor[]): RawBatch {
    const [inputs, outputs] = [this.#inputs.length, this.losses.length];
    const weights = data[inputs + outputs];
    const targets = this.losses.map(
      ({ output, toTarget }, i) => [output, toTarget(data[inputs + i]!)] as const,
    );
    return {
      x: Object.fromEntries(this.#inputs.map((name, i) => [name, data[i]!])),
      y: Object.fromEntries(targets),
      ...(weights && { weights }),
    };
  }

  /** The same for what users give: `{ x, y }` or `{ xs, ys }`. */
  fromNames(x: TensorsOfTfjs, y: TensorsOfTfjs, weights?: Tensor): RawBatch {
    return this.fromList([
      ...this.listInputs(x),
      ...this.listTargets(y),
      ...(weights ? [weights] : []),
    ]);
  }

  listInputs(x: TensorsOfTfjs): readonly Tensor[] {
    return orderTensors('x', x, [this.model.inputNames, this.#inputs]);
  }

  listTargets(y: TensorsOfTfjs): readonly Tensor[] {
    return orderTensors('y', y, [this.model.outputNames, this.losses.map(({ output }) => output)]);
  }
}

/** Tensors that were given, in whatever form. */
export function listTensors(given: TensorsOfTfjs): readonly Tensor[] {
  return given instanceof tf.Tensor ? [given] : (Object.values(given) as Tensor[]);
}

function orderTensors(
  what: 'x' | 'y',
  given: TensorsOfTfjs,
  names: readonly (readonly string[])[],
): readonly Tensor[] {
  const list = given instanceof tf.Tensor ? [given] : Array.isArray(given) ? given : undefined;
  if (list) return checkCount(what, list as readonly Tensor[], names[0]!);
  const record = checkRecord(what, given);
  return names[0]!.map((own, i) => {
    const found = names.map((each) => record[each[i]!]).find((each) => each instanceof tf.Tensor);
    if (found) return found;
    throw new EspalierError('attach/batch', {
      problem: `the batch's ${what} has no tensor '${own}'`,
      received: Object.keys(record),
      fix: suggest(own, Object.keys(record)),
    });
  });
}

function checkRecord(what: 'x' | 'y', given: unknown): NamedTensors {
  if (typeof given === 'object' && given !== null) return given as NamedTensors;
  throw new EspalierError('attach/batch', {
    problem: `the batch has no ${what}`,
    received: given,
    fix: 'Give { x, y } to run.step and run.loss; a dataset gives { xs, ys }.',
  });
}

function checkCount(what: string, list: readonly Tensor[], names: readonly string[]) {
  if (list.length === names.length) return list;
  throw new EspalierError('attach/batch', {
    problem: `the batch's ${what} must have ${names.length} tensors, '${names.join("', '")}'`,
    received: list.length,
    fix: `Give ${what} as a list in this order, or by these names.`,
  });
}
