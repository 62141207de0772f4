import {
  disposeNewWeights,
  EspalierError,
  noteExistingWeights,
  keyedRng,
  listOwnNames,
  Network,
  suggest,
  toCanonicalName,
  withKeyedInit,
} from '@espalier/core';
import type { Head, NamedTensors } from '@espalier/core';
import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';

/** Makes a teacher, or loads it. */
export type MakeTeacher = () => LayersModel | Promise<LayersModel>;

/** Logits `[batch, classes]` for the inputs of a batch, by the names of the student's inputs. */
export type Predict = (inputs: NamedTensors) => Tensor2D;

/** What a teacher's model is made to fit. */
interface Fit {
  readonly studentInputs: readonly string[];
  /** Which of the teacher's outputs teaches, if it has several. */
  readonly output: string | undefined;
}

/** A model that teaches: made once, and run for inference only. What was made for it is disposed with it. */
export class TeacherModel {
  #model: LayersModel | undefined;
  #existing = noteExistingWeights();
  #predict: Predict | undefined;
  #loading: Promise<void> | undefined;

  constructor(
    private readonly make: MakeTeacher,
    private readonly fit: Fit,
  ) {}

  /** Makes the model unless it is made already; a promise where that takes time. */
  load(): void | Promise<void> {
    if (this.#predict || this.#loading) return this.#loading;
    this.#existing = noteExistingWeights();
    // Where it makes weights before it loads others, no draw may depend on the process.
    const made = withKeyedInit((...key) => keyedRng(0, 'teacher', ...key), this.make);
    if (!(made instanceof Promise)) return this.#take(made);
    this.#loading = made.then((model) => this.#take(model));
    return this.#loading;
  }

  get isLoaded(): boolean {
    return this.#predict !== undefined;
  }

  /** @throws EspalierError `teacher/not-loaded`, `teacher/…`. */
  readonly predict: Predict = (inputs) => {
    const loading = this.load();
    if (this.#predict) return this.#predict(inputs);
    loading?.catch(() => undefined); // the next step waits for it, and throws what it throws
    throw new EspalierError('teacher/not-loaded', {
      problem: 'the loss was asked for before the teacher was loaded',
      fix: "Call session.step or fit first, which wait for it, or give teacher's option model, which is loaded at setup.",
    });
  };

  async dispose(): Promise<void> {
    await this.#loading?.catch(() => undefined);
    if (this.#model) disposeNewWeights(this.#model, this.#existing);
  }

  #take(model: LayersModel): void {
    checkModel(model);
    this.#model = model;
    this.#predict = makePrediction(model, this.fit);
  }
}

function makePrediction(model: LayersModel, { studentInputs, output }: Fit): Predict {
  const network = new Network(model);
  const name = findOutput(
    network,
    output && toCanonicalName(output, network.outputNames, listOwnNames(model)),
  );
  checkLogits(network.heads[name]!, name);
  const squashed = network.heads[name]!.gives === 'probabilities';
  return (inputs) => {
    const fed = network.inputNames.map((input, i) => {
      const given = inputs[input] ?? inputs[studentInputs[i]!];
      checkInput(input, given, model.inputs[i]!.shape, inputs);
      return [input, given!] as const;
    });
    const how = { training: false, logits: squashed ? [name] : [] };
    return network.execute(Object.fromEntries(fed), how).outputs[name] as Tensor2D;
  };
}

function findOutput({ outputNames }: Network, wanted: string | undefined): string {
  if (wanted === undefined && outputNames.length === 1) return outputNames[0]!;
  if (wanted !== undefined && outputNames.includes(wanted)) return wanted;
  throw new EspalierError('teacher/output', {
    problem:
      wanted === undefined
        ? `the teacher has the outputs '${outputNames.join("', '")}'`
        : `the teacher has no output '${wanted}'`,
    fix:
      wanted === undefined
        ? `Say which one teaches: output: '${outputNames.at(-1)}'.`
        : suggest(wanted, outputNames),
  });
}

function checkModel(model: unknown): void {
  if (typeof (model as LayersModel | undefined)?.predict === 'function') return;
  throw new EspalierError('teacher/not-a-model', {
    problem: 'model must be a function that returns a LayersModel, or a promise of one',
    received: model,
    fix: 'For another kind of teacher, give predict: (inputs) => logits.',
  });
}

/** A softmax is left out; of other probabilities there are no logits over classes. */
function checkLogits({ layer, gives, activation, hasLogits }: Head, name: string): void {
  if (gives !== 'probabilities' || (activation === 'softmax' && hasLogits)) return;
  throw new EspalierError('teacher/not-logits', {
    problem: `the teacher's output '${name}' gives probabilities that no softmax over classes makes last: see layer '${layer}'`,
    received: activation,
    fix: 'Give a model that ends before it, or predict: (inputs) => tf.log(probabilities).',
  });
}

function checkInput(
  name: string,
  given: Tensor | undefined,
  shape: readonly (number | null)[],
  inputs: NamedTensors,
): void {
  const fits = shape.every((size, i) => size === null || size === given?.shape[i]);
  if (given?.shape.length === shape.length && fits) return;
  throw new EspalierError('teacher/inputs', {
    problem: `the teacher's input '${name}' must have the shape [${shape.map((size, i) => size ?? (i === 0 ? 'batch' : 'any')).join(', ')}], but it gets what the student gets`,
    received: given ?? Object.keys(inputs),
    fix: 'Use a teacher that takes the same inputs, or change them in predict: (inputs) => teacher.predict( … ).',
  });
}
