import { EspalierError, isPlain, refuseForeignTensor, suggest } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar } from '@tensorflow/tfjs-core';
import { allows } from '../plugins/effects.js';
import type { Declared } from '../plugins/effects.js';

/** Options of one loss term. */
export interface TermOptions {
  /** Factor in the total; default 1. */
  readonly weight?: number;
  /** Parameter groups that the term trains; its gradient for every other group is exactly zero. */
  readonly groups?: readonly string[];
}

/** One term of the loss. */
export interface Term extends Required<Pick<TermOptions, 'weight'>> {
  /**
   * `<plugin id>/<name>`; the task's own term is `task/<loss>`, that of a layer's regularizer
   * `regularization/<parameter path>`.
   */
  readonly name: string;
  readonly owner: string;
  /** Unweighted scalar. */
  readonly value: Scalar;
  /** Absent: all groups. */
  readonly groups?: readonly string[];
  /** The plugin that replaced the value last, if another than its owner did. */
  readonly replacedBy?: string;
}

/** What a plugin sees of the loss terms: it adds terms of its own; others' need a declared effect. */
export interface LossTerms {
  /** All terms so far, in order. */
  readonly all: readonly Term[];
  /** Adds the term `<plugin id>/<name>`. Needs `loss: add`. */
  add(name: string, value: Scalar, options?: TermOptions): void;
  /** The unweighted value of a term, by its full name. */
  get(term: string): Scalar;
  /** Multiplies a term's weight. Needs `'loss:<term>': 'modify'` (`replace`, `own`) for another's term. */
  scale(term: string, factor: number): void;
  /**
   * Replaces a term's value; its weight stays. Needs `'loss:<term>': 'replace'` (`own`) for another's
   * term, or `modify` where the new value is made from the old one.
   */
  replace(term: string, value: Scalar): void;
}

/** The loss as named terms: plugins change terms, never the scalar. */
export class TermTable {
  #terms: Term[] = [];

  get terms(): readonly Term[] {
    return this.#terms;
  }

  /** The terms as a plugin may use them: what it may add and change follows from its effects. */
  viewFor({ id, effects }: Declared): LossTerms {
    const change = (name: string, patch: (term: Term) => Term) => {
      const index = this.#index(name);
      const term = this.#terms[index]!;
      if (term.owner !== id && !allows(effects, `loss:${name}`, ['modify', 'replace', 'own'])) {
        throw undeclaredError(`change the loss term '${name}'`, `loss:${name}`, 'modify');
      }
      this.#terms[index] = patch(term);
    };
    const listAll = () => this.#terms.map((term) => ({ ...term }));
    return {
      get all() {
        return listAll();
      },
      add: (name, value, options = {}) => {
        if (!allows(effects, 'loss', ['add', 'own'])) {
          throw undeclaredError(`add the loss term '${name}'`, 'loss', 'add');
        }
        this.add(id, name, value, options);
      },
      get: (name) => this.#terms[this.#index(name)]!.value,
      scale: (name, factor) => {
        checkWeight(name, factor);
        change(name, (term) => ({ ...term, weight: term.weight * factor }));
      },
      replace: (name, value) => {
        checkScalar(name, value);
        change(name, (term) => ({
          ...term,
          value,
          ...(term.owner !== id && { replacedBy: id }),
        }));
      },
    };
  }

  /** The weighted sum of the terms that `choose` keeps, at their weights or its own; 0 when there are none. */
  total(choose: (term: Term) => boolean | number): Scalar {
    const parts = this.#terms.flatMap((term) => {
      const weight = weigh(term, choose(term));
      if (weight === undefined) return [];
      return [weight === 1 ? term.value : tf.mul<Scalar>(term.value, weight)];
    });
    if (parts.length === 0) return tf.scalar(0);
    return parts.length === 1 ? parts[0]! : tf.addN(parts);
  }

  /** Adds the term `<owner>/<name>`. */
  add(owner: string, name: string, value: Scalar, options: TermOptions = {}): void {
    const full = `${owner}/${name}`;
    checkOptions(full, options);
    const { weight = 1, groups } = options;
    if (this.#terms.some((term) => term.name === full)) {
      throw new EspalierError('terms/duplicate', {
        problem: `the loss already has a term '${full}'`,
        fix: 'Give each term of a plugin its own name.',
      });
    }
    checkScalar(full, value);
    checkWeight(full, weight);
    if (groups !== undefined && !Array.isArray(groups)) {
      throw new EspalierError('terms/groups', {
        problem: `loss term '${full}': groups must be a list of parameter groups`,
        received: groups,
      });
    }
    this.#terms.push({ owner, name: full, value, weight, ...(groups && { groups }) });
  }

  #index(name: string): number {
    const index = this.#terms.findIndex((term) => term.name === name);
    if (index >= 0) return index;
    throw new EspalierError('terms/unknown-term', {
      problem: `the loss has no term '${name}'`,
      fix: suggest(
        name,
        this.#terms.map((term) => term.name),
      ),
    });
  }
}

/** The factor of a term's value; undefined: it does not count. */
function weigh({ name, weight }: Term, chosen: boolean | number): number | undefined {
  if (typeof chosen === 'boolean') return chosen ? weight : undefined;
  checkWeight(name, chosen);
  return chosen === 0 ? undefined : chosen;
}

const OPTIONS = ['weight', 'groups'];

function checkOptions(name: string, options: TermOptions): void {
  if (!isPlain(options)) {
    throw new EspalierError('terms/options', {
      problem: `the options of the loss term '${name}' must be an object`,
      received: options,
      fix: 'Use e.g. { weight: 0.5 }.',
    });
  }
  const unknown = Object.keys(options).find((option) => !OPTIONS.includes(option));
  if (unknown === undefined) return;
  throw new EspalierError('terms/options', {
    problem: `the loss term '${name}' has an unknown option '${unknown}'`,
    received: options,
    fix: suggest(unknown, OPTIONS),
  });
}

function checkScalar(name: string, value: unknown): void {
  refuseForeignTensor(`the value of the loss term '${name}'`, value);
  const isScalar = value instanceof tf.Tensor && value.rank === 0 && value.dtype === 'float32';
  if (isScalar && !value.isDisposed) return;
  throw new EspalierError('terms/not-a-scalar', {
    problem: `loss term '${name}' must be a live float32 scalar`,
    received: value,
    fix: 'Reduce per-example values with mean(…) of the loss context.',
  });
}

function checkWeight(name: string, weight: number): void {
  if (Number.isFinite(weight)) return;
  throw new EspalierError('terms/weight', {
    problem: `the weight of loss term '${name}' must be a finite number`,
    received: weight,
  });
}

function undeclaredError(act: string, resource: string, mode: string): EspalierError {
  return new EspalierError('effects/undeclared', {
    problem: `this plugin may not ${act}: it declares no such effect`,
    fix: `Declare effects: { '${resource}': '${mode}' }.`,
  });
}
