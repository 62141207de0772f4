import { EspalierError, refuseForeignTensor, suggest } from '@espalier/base';
import type { NamedTensors } from '@espalier/base';
import { constrain, hasConstraint, isWrittenExactly, writeExactly } from '@espalier/model';
import type { Parameter } from '@espalier/model';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';

/** The group of every parameter that no plugin put elsewhere. */
export const DEFAULT_GROUP = 'model';

/** One network's parameters and the group they are in unless a plugin says otherwise. */
export interface Owned {
  readonly parameters: readonly Parameter[];
  readonly group: string;
}

interface Entry {
  readonly parameter: Parameter;
  readonly group: string;
  readonly value: Tensor;
  /** What holds the value on the device: another one says that somebody else wrote it. */
  held: object;
  /** The same of the value that it had at first, or that somebody else set. */
  given: object;
}

/** Parameters whose values somebody else set. */
export interface ForeignValues {
  readonly paths: readonly string[];
  /** All of them were written by other sessions that train the same layers. */
  readonly byOtherSessions: boolean;
}

type Grouping = readonly [name: string, belongs: (path: string) => boolean];

/** All parameters of a run by stable path: the model's and those of plugins' own networks. */
export class ParameterSet {
  readonly paths: readonly string[];
  readonly trainable: readonly string[];
  readonly groups: readonly string[];
  readonly #entries = new Map<string, Entry>();
  readonly #training: ReadonlySet<string>;

  /** `trains` says which parameters do; by default their flags. */
  constructor(
    networks: readonly Owned[],
    groupings: readonly Grouping[],
    trains: (parameter: Parameter) => boolean = ({ trainable }) => trainable,
  ) {
    for (const { parameters, group } of networks) {
      for (const parameter of parameters) {
        const { path } = parameter;
        const found = groupings.filter(([, belongs]) => belongs(path)).at(-1);
        const value = parameter.variable.read();
        this.#entries.set(path, {
          ...{ parameter, value, group: found?.[0] ?? group },
          held: value.dataId,
          given: value.dataId,
        });
      }
    }
    this.paths = [...this.#entries.keys()];
    this.trainable = this.paths.filter((path) => trains(this.#entry(path).parameter));
    this.#training = new Set(this.trainable);
    this.groups = [...new Set([...this.#entries.values()].map((entry) => entry.group))];
  }

  /** Whether it is a parameter that trains; false for an unknown path. */
  isTrainable(path: string): boolean {
    return this.#training.has(path);
  }

  findGroup(path: string): string {
    return this.#entry(path).group;
  }

  /** The live value; never dispose it. */
  value(path: string): Tensor {
    return this.#entry(path).value;
  }

  /** Whether it does not train and has the value that it was given. */
  isAsGiven(path: string): boolean {
    const { value, given } = this.#entry(path);
    return !this.isTrainable(path) && value.dataId === given;
  }

  /** From here on the values count as given: a checkpoint's were. */
  noteGiven(): void {
    this.#entries.forEach((entry) => (entry.given = entry.value.dataId));
  }

  /** Live values by path. */
  values(paths: readonly string[] = this.paths): NamedTensors {
    return Object.fromEntries(paths.map((path) => [path, this.value(path)]));
  }

  /**
   * Copies values in bit for bit, after checking all of them; the caller keeps its tensors.
   * Constraints of layers act on optimizer updates only: see {@link constrain}.
   */
  assign(values: NamedTensors): void {
    for (const [path, value] of Object.entries(values)) checkShape(path, this.value(path), value);
    tf.tidy(() => {
      for (const [path, value] of Object.entries(values)) {
        const entry = this.#entry(path);
        writeExactly(entry.parameter.variable, value);
        entry.held = entry.value.dataId;
      }
    });
  }

  /** Those that train and have a constraint. */
  get constrained(): readonly string[] {
    return this.trainable.filter((path) => hasConstraint(this.#entry(path).parameter.variable));
  }

  /** Takes over what others wrote since the last look; no value is read. */
  takeOver(): ForeignValues {
    const entries = [...this.#entries.values()].filter(({ value, held }) => value.dataId !== held);
    entries.forEach((entry) => (entry.held = entry.given = entry.value.dataId));
    return {
      paths: entries.map(({ parameter }) => parameter.path),
      byOtherSessions: entries.every(({ parameter }) => isWrittenExactly(parameter.variable)),
    };
  }

  /**
   * What the layers' constraints make of updated values; call it in a `tf.tidy`.
   *
   * @throws EspalierError `parameters/constraint`, naming the parameter.
   */
  constrain(values: NamedTensors): NamedTensors {
    const of = (path: string) => this.#entry(path).parameter.variable;
    const entries = Object.entries(values);
    return Object.fromEntries(
      entries.map(([path, value]) => [path, constrain(of(path), path, value)]),
    );
  }

  /** @throws EspalierError `parameters/unknown` with a suggestion. */
  #entry(path: string): Entry {
    const entry = this.#entries.get(path);
    if (entry) return entry;
    throw new EspalierError('parameters/unknown', {
      problem: `there is no parameter '${path}'`,
      fix: suggest(path, this.paths),
    });
  }
}

function checkShape(path: string, old: Tensor, value: Tensor): void {
  refuseForeignTensor(`the value for '${path}'`, value);
  if (tf.util.arraysEqual(old.shape, value.shape)) return;
  throw new EspalierError('parameters/shape', {
    problem: `parameter '${path}' has shape [${old.shape.join(', ')}]`,
    received: `[${value.shape.join(', ')}]`,
  });
}
