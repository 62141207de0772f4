import { computeAuroc } from './auroc.js';
import { countOutcomes, scoreOutcomes } from './confusion.js';
import type { Average, Outcomes, Score } from './confusion.js';
import type { Wanted } from './options.js';
import type { OutputKind } from './output-kind.js';
import { planRows } from './read-rows.js';
import type { Layout } from './read-rows.js';

/** What is counted, as plain data. */
interface Counts {
  weight: number;
  right: number;
  /** By top k that is wanted. */
  hits: number[];
  /** Of classes: `confusion[actual][predicted]`. */
  confusion: number[][];
  /** Of labels, by label. */
  outcomes: Outcomes[];
  /** Where scores are kept: rows of weight, actual and scores. */
  scored: number[];
  /** Whether a score was no number: nothing can be said then. */
  faulty: boolean;
}

/** Counts rows, and computes metrics of them. */
export class Tally {
  readonly layout: Layout;
  #counts: Counts;

  constructor(
    private readonly measured: OutputKind,
    private readonly wanted: Wanted,
  ) {
    const { compute, topK } = wanted;
    this.layout = planRows(measured, { ranks: topK.length > 0, scores: compute.includes('auroc') });
    this.#counts = this.#makeCounts();
  }

  reset(): void {
    this.#counts = this.#makeCounts();
  }

  /** Adds rows, one after the other, as `layout` has them. */
  add(rows: ArrayLike<number>): void {
    const { weight, actual, predicted, rank, scores } = this.layout;
    const width = weight + actual + predicted + rank + scores;
    for (let at = 0; at < rows.length; at += width) {
      const row = Array.from({ length: width }, (_, i) => rows[at + i]!);
      if (row[0]! > 0) this.#addRow(row);
    }
  }

  /** Metrics by name; NaN where a score was no number. */
  compute(): Record<string, number> {
    const { prefix } = this.measured;
    const found = [...this.#means(), ...this.#scores(), ...this.#aurocs()];
    const { faulty } = this.#counts;
    return Object.fromEntries(
      found.map(([name, value]) => [prefix + name, faulty ? NaN : value] as const),
    );
  }

  /** The confusion matrix, if it is wanted: `[actual][predicted]`. */
  get confusion(): readonly (readonly number[])[] | undefined {
    return this.wanted.compute.includes('confusion') ? this.#counts.confusion : undefined;
  }

  /** What was counted so far as plain data, which {@link restore} takes. */
  get data(): unknown {
    return structuredClone(this.#counts);
  }

  restore(data: unknown): void {
    this.#counts = structuredClone(data) as Counts;
  }

  #makeCounts(): Counts {
    const { kind, classes } = this.measured;
    const zeros = () => new Array<number>(classes).fill(0);
    return {
      ...{ weight: 0, right: 0, hits: this.wanted.topK.map(() => 0) },
      confusion: kind === 'labels' ? [] : zeros().map(zeros),
      outcomes: kind === 'labels' ? zeros().map(() => ({ found: 0, mistaken: 0, missed: 0 })) : [],
      ...{ scored: [], faulty: false },
    };
  }

  #addRow(row: readonly number[]): void {
    const { actual: each, rank, scores } = this.layout;
    const [weight, actual] = [row[0]!, row.slice(1, 1 + each)];
    const predicted = row.slice(1 + each, 1 + 2 * each);
    const counts = this.#counts;
    if (predicted.some(Number.isNaN)) {
      counts.faulty = true;
      return;
    }
    counts.weight += weight;
    const rights = actual.filter((value, i) => value === predicted[i]).length;
    counts.right += (weight * rights) / each;
    if (rank) {
      this.wanted.topK.forEach((k, i) => (counts.hits[i]! += row[1 + 2 * each]! < k ? weight : 0));
    }
    if (this.measured.kind === 'labels') this.#addLabels(weight, actual, predicted);
    else counts.confusion[actual[0]!]![predicted[0]!]! += weight;
    if (scores) counts.scored.push(weight, ...actual, ...row.slice(-scores));
  }

  #addLabels(weight: number, actual: readonly number[], predicted: readonly number[]): void {
    const { outcomes } = this.#counts;
    actual.forEach((is, label) => {
      const { found, mistaken, missed } = outcomes[label]!;
      const was = predicted[label]!;
      outcomes[label] = {
        found: found + (is && was ? weight : 0),
        mistaken: mistaken + (was && !is ? weight : 0),
        missed: missed + (is && !was ? weight : 0),
      };
    });
  }

  #means(): [string, number][] {
    const { weight, right, hits } = this.#counts;
    const { compute, topK } = this.wanted;
    const accuracy: [string, number][] = compute.includes('accuracy')
      ? [['accuracy', right / weight]]
      : [];
    return [...accuracy, ...topK.map((k, i): [string, number] => [`top-${k}`, hits[i]! / weight])];
  }

  #scores(): [string, number][] {
    const { kind } = this.measured;
    const usual: Average = kind === 'binary' ? 'positive' : 'macro';
    const { compute, averages = [usual] } = this.wanted;
    const { confusion, outcomes } = this.#counts;
    const each = kind === 'labels' ? outcomes : countOutcomes(confusion);
    const asked = compute.filter((one): one is Score =>
      ['precision', 'recall', 'f1'].includes(one),
    );
    return asked.flatMap((score) =>
      averages.flatMap((average) =>
        Object.entries(scoreOutcomes(score, each, average)).map(([part, value]) => {
          const name = average === 'classes' ? part : average === usual ? '' : average;
          return [[score, name].filter(Boolean).join('/'), value] as [string, number];
        }),
      ),
    );
  }

  #aurocs(): [string, number][] {
    const { kind, classes } = this.measured;
    if (!this.layout.scores) return [];
    if (kind === 'binary') return [['auroc', this.#auroc(0)]];
    const each = Array.from({ length: classes }, (_, id) => this.#auroc(id));
    const known = each.filter((value) => !Number.isNaN(value));
    const macro = known.reduce((sum, value) => sum + value, 0) / known.length;
    const shown = this.wanted.averages?.includes('classes') ? each : [];
    return [
      ['auroc', macro],
      ...shown.map((value, id): [string, number] => [`auroc/${id}`, value]),
    ];
  }

  /** Of a class or label against the rest. */
  #auroc(id: number): number {
    const { kind } = this.measured;
    const { actual, scores } = this.layout;
    const { scored } = this.#counts;
    const width = 1 + actual + scores;
    const column = (at: number) =>
      Array.from({ length: scored.length / width }, (_, row) => scored[row * width + at]!);
    const truth = column(kind === 'labels' ? 1 + id : 1);
    const wanted = kind === 'classes' ? id : 1;
    return computeAuroc({
      scores: column(1 + actual + id),
      weights: column(0),
      isPositive: (row) => truth[row] === wanted,
    });
  }
}
