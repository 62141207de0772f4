/** Words in blocks, and what each would lose where. */
export interface Placement {
  /** Block of each word. */
  readonly block: Int32Array;
  /** Squared error of each word in each block; `undefined`: a dense block, without error. */
  readonly errors: readonly (Float64Array | undefined)[];
  /** Weight of each word's error. */
  readonly weights: Float64Array;
  /** Numbers that a word takes in each block: its rank, or the matrix's columns. */
  readonly numbers: readonly number[];
  /** Words that each block must keep. */
  readonly least: readonly number[];
  /** Numbers that all words together may take. */
  readonly budget: number;
}

/** A word that would go to another block. */
export interface Move {
  readonly word: number;
  readonly to: number;
}

/** Words that lie better elsewhere, and the moves to make now. */
export interface Moves {
  readonly candidates: number;
  readonly chosen: readonly Move[];
}

/**
 * Candidates are words for which another block has less weighted error plus price of its numbers.
 * The price is 0 where the budget allows every word its best block, as it does where all ranks are
 * equal; that is the paper's rule. Else it is the least at which all words together fit. Of the
 * candidates that gain, the `fraction` of lowest error in the new block moves; those that lose by
 * leaving a costly block pay for them, as many as are needed, least loss per number first.
 */
export function chooseMoves(placement: Placement, fraction: number): Moves {
  const { block } = placement;
  const wanted = findCheapest(placement, fittingPrice(placement));
  const candidates: Move[] = [];
  wanted.forEach((to, word) => {
    if (to !== block[word]) candidates.push({ word, to });
  });
  const gains = (move: Move) => computeLoss(placement, move) < 0;
  const gainers = sortedBy(candidates.filter(gains), ({ word, to }) =>
    errorAt(placement, word, to),
  );
  const payers = sortedBy(
    candidates.filter((move) => !gains(move)),
    (move) => computeLoss(placement, move) / -computeGrowth(placement, move),
  );
  const first = gainers.slice(0, Math.ceil(fraction * gainers.length));
  return { candidates: candidates.length, chosen: selectAffordable(placement, first, payers) };
}

/** Weighted error of all words where they are. */
export function weightedError({ block, errors, weights }: Placement): number {
  return block.reduce((sum, p, word) => sum + weights[word]! * (errors[p]?.[word] ?? 0), 0);
}

/** Numbers that words take in their blocks. */
export function countNumbers(block: Int32Array, numbers: readonly number[]): number {
  return block.reduce((sum, p) => sum + numbers[p]!, 0);
}

/** The block of least weighted error plus price for each word; where equal, its own. */
function findCheapest({ block, errors, weights, numbers }: Placement, price: number): Int32Array {
  return block.map((own, word) => {
    const computeCost = (p: number) =>
      weights[word]! * (errors[p]?.[word] ?? 0) + price * numbers[p]!;
    let best = own;
    let least = computeCost(own);
    for (let p = 0; p < numbers.length; p++) {
      const cost = computeCost(p);
      if (cost < least) [best, least] = [p, cost];
    }
    return best;
  });
}

const BISECTIONS = 40;

/** The least price at which the words' cheapest blocks fit; all in the smallest ranks always do. */
function fittingPrice(placement: Placement): number {
  const fits = (price: number) =>
    countNumbers(findCheapest(placement, price), placement.numbers) <= placement.budget;
  if (fits(0)) return 0;
  let high = weightedError(placement) / placement.budget;
  while (!fits(high)) high *= 2;
  let low = 0;
  for (let i = 0; i < BISECTIONS; i++) {
    const middle = (low + high) / 2;
    if (fits(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/** Moves in this order within the budget, no block left with fewer words than it must keep. */
function selectAffordable(
  placement: Placement,
  gainers: readonly Move[],
  payers: readonly Move[],
): Move[] {
  const { block, numbers, budget } = placement;
  const growth = (move: Move) => computeGrowth(placement, move);
  const leaves = departures(placement);
  const gaining = gainers.filter(leaves);
  let spent = gaining.reduce((sum, move) => sum + growth(move), countNumbers(block, numbers));
  const paying: Move[] = [];
  for (const move of payers) {
    if (spent <= budget) break;
    if (!leaves(move)) continue;
    paying.push(move);
    spent += growth(move);
  }
  const takeBack = (moves: Move[], whether: (grows: number) => boolean) => {
    for (let i = moves.length - 1; i >= 0; i--) {
      const grows = growth(moves[i]!);
      if (!whether(grows)) continue;
      moves.splice(i, 1);
      spent -= grows;
    }
  };
  takeBack(paying, (grows) => spent - grows <= budget);
  takeBack(gaining, (grows) => grows > 0 && spent > budget);
  return [...gaining, ...paying];
}

/** Says of one move after the other whether its block can spare the word. */
function departures({ block, least }: Placement): (move: Move) => boolean {
  const spare = least.map((words) => -words);
  block.forEach((p) => (spare[p]! += 1));
  return ({ word }) => {
    const from = block[word]!;
    if (spare[from] === 0) return false;
    spare[from]! -= 1;
    return true;
  };
}

function errorAt({ errors }: Placement, word: number, p: number): number {
  return errors[p]?.[word] ?? 0;
}

function computeLoss(placement: Placement, { word, to }: Move): number {
  const now = errorAt(placement, word, placement.block[word]!);
  return placement.weights[word]! * (errorAt(placement, word, to) - now);
}

function computeGrowth({ block, numbers }: Placement, { word, to }: Move): number {
  return numbers[to]! - numbers[block[word]!]!;
}

function sortedBy(moves: readonly Move[], key: (move: Move) => number): Move[] {
  const keyed = moves.map((move) => ({ move, key: key(move) }));
  return keyed.sort((a, b) => a.key - b.key).map(({ move }) => move);
}
