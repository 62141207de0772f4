import type { Clock } from '@espalier/core';
import type { LabelWeight } from './options.js';

/** Epochs after which a warm-up until the targets are better ends at the latest. */
const LATEST = 20;

/** Mean training accuracy over an epoch: of the targets for an exit, and of that exit. */
export interface Accuracies {
  readonly targets: number;
  readonly exit: number;
}

/** What an epoch said of a warm-up: it goes on, or ends, perhaps only because it has lasted for too long. */
export type Judgement = 'goes on' | 'better' | 'too long';

/**
 * The warm-up of a network that labels train first: how much they count, and when it is over. Rules by steps
 * and epochs follow from the clock; `until: 'better'` from the accuracies of epochs.
 */
export class WarmUp {
  #isBetter = false;
  #hasEnded = false;

  constructor(private readonly rule: LabelWeight) {}

  /** Weight of the labels at this moment. */
  weightAt(clock: Clock): number {
    if (typeof this.rule === 'number') return this.rule;
    const { weight, then } = this.rule;
    return this.hasRule && this.isOver(clock) ? then : weight;
  }

  /** Whether another loss may take over; at once where labels count alike all along. */
  isOver({ step, epoch }: Clock): boolean {
    if (typeof this.rule === 'number') return true;
    const { steps, epochs } = this.rule;
    if (this.judgesEpochs) return this.#isBetter;
    return step >= (steps ?? 0) && epoch >= (epochs ?? 0);
  }

  /** Whether it is over and has not been said to be so before; never where there is no rule. */
  endsNow(clock: Clock): boolean {
    if (this.#hasEnded || !this.hasRule || !this.isOver(clock)) return false;
    this.#hasEnded = true;
    return true;
  }

  /** Whether the optimizer begins anew at its end. */
  get restarts(): boolean {
    return typeof this.rule === 'object' && this.rule.restart;
  }

  /** Whether there is an end to it. */
  get hasRule(): boolean {
    if (typeof this.rule === 'number') return false;
    const { steps, epochs } = this.rule;
    return steps !== undefined || epochs !== undefined || this.judgesEpochs;
  }

  /** Whether only the end of an epoch ends it. */
  get countsEpochs(): boolean {
    return this.judgesEpochs || (typeof this.rule === 'object' && this.rule.epochs !== undefined);
  }

  /** Whether it wants to know how good the targets are: it ends when they are better. */
  get judgesEpochs(): boolean {
    return typeof this.rule === 'object' && this.rule.until !== undefined;
  }

  /** Takes in an epoch that is over, exit by exit. */
  judge({ epoch }: Clock, exits: readonly Accuracies[]): Judgement {
    const epochs = epoch + 1;
    const passes = exits.length > 0 && exits.every(({ targets, exit }) => targets > exit);
    const isBetter = passes && epochs >= this.earliest;
    const isLate = epochs >= this.latest;
    this.#isBetter ||= isBetter || isLate;
    if (isBetter) return 'better';
    return isLate ? 'too long' : 'goes on';
  }

  /** Epochs after which {@link judge} ends it. */
  get latest(): number {
    const { latest } = typeof this.rule === 'object' ? this.rule : {};
    return latest ?? Math.max(LATEST, this.earliest);
  }

  /** Epochs before which it does not. */
  get earliest(): number {
    return (typeof this.rule === 'object' && this.rule.earliest) || 1;
  }

  get state(): { readonly isBetter: boolean; readonly hasEnded: boolean } {
    return { isBetter: this.#isBetter, hasEnded: this.#hasEnded };
  }

  restore({ isBetter, hasEnded }: WarmUp['state']): void {
    this.#isBetter = isBetter;
    this.#hasEnded = hasEnded;
  }
}
