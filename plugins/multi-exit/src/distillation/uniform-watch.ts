/** Epochs in a row in which targets must say nothing before a run is warned. */
export const UNIFORM_EPOCHS = 3;

/** Share of ln(classes) under which targets say nothing. */
export const UNIFORM_SHARE = 0.02;

/** What is known of one exit's targets in an epoch. */
export interface EpochOfTargets {
  /** Mean of ln(classes) − entropy at τ. */
  readonly fromUniform: number;
  readonly classes: number;
  readonly temperature: number;
}

/** State of a {@link UniformWatch} as plain data. */
export interface UniformWatchState {
  /** By exit: for how many epochs in a row its targets have said nothing. */
  readonly epochs: Readonly<Record<string, number>>;
  readonly warned: boolean;
}

/**
 * Whether targets are as good as uniform. τ²·(ln(classes) − entropy) is the soft loss that a student
 * without any knowledge has by them, ln(classes) its loss by the labels: under 2 % of that they say nothing.
 */
export function areUniform({ fromUniform, classes, temperature }: EpochOfTargets): boolean {
  return temperature ** 2 * fromUniform < UNIFORM_SHARE * Math.log(classes);
}

/** Finds exits whose targets stay uniform for some epochs in a row; tells of them once. */
export class UniformWatch {
  #epochs: Readonly<Record<string, number>> = {};
  #warned = false;

  /** Takes in the numbers of an epoch, by exit; the exits to warn of, if it is time to. */
  follow(exits: Readonly<Record<string, EpochOfTargets>>): readonly string[] {
    const counted = Object.entries(exits).map(
      ([exit, epoch]) => [exit, areUniform(epoch) ? (this.#epochs[exit] ?? 0) + 1 : 0] as const,
    );
    this.#epochs = Object.fromEntries(counted);
    const found = counted.filter(([, epochs]) => epochs >= UNIFORM_EPOCHS).map(([exit]) => exit);
    if (this.#warned || found.length === 0) return [];
    this.#warned = true;
    return found;
  }

  get state(): UniformWatchState {
    return { epochs: this.#epochs, warned: this.#warned };
  }

  restore({ epochs, warned }: UniformWatchState): void {
    this.#epochs = epochs;
    this.#warned = warned;
  }
}
