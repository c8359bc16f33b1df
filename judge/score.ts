/**
 * @file Shares with their uncertainty: Wilson's score interval (E. B. Wilson 1927, JASA 22), and verdicts added up by
 * category.
 */

export interface Share {
  readonly successes: number;
  readonly trials: number;
  /** successes / trials; NaN without trials. */
  readonly share: number;
  /** 95 % interval of the true share. */
  readonly low: number;
  readonly high: number;
}

/** Quantile of the standard normal distribution at 97.5 %. */
const Z = 1.959963984540054;

/** 95 % interval of a share; [0, 1] without trials. */
export function wilson95(successes: number, trials: number): { low: number; high: number } {
  if (trials === 0) return { low: 0, high: 1 };
  const share = successes / trials;
  const scale = 1 + Z ** 2 / trials;
  const centre = (share + Z ** 2 / (2 * trials)) / scale;
  const half = (Z / scale) * Math.sqrt((share * (1 - share)) / trials + Z ** 2 / (4 * trials ** 2));
  // Exact at the ends, where rounding would leave 1e-17.
  return { low: successes === 0 ? 0 : centre - half, high: successes === trials ? 1 : centre + half };
}

export function shareOf(successes: number, trials: number): Share {
  return { successes, trials, share: successes / trials, ...wilson95(successes, trials) };
}

/** One judged picture. */
export interface ScoredItem {
  readonly category: string;
  readonly verdict: { readonly strict: boolean; readonly contains: boolean; readonly recall: number };
}

export interface ScoreRow {
  readonly category: string;
  readonly strict: Share;
  readonly contains: Share;
  /** Mean share of the asked objects that are there. */
  readonly recall: number;
}

/** The row of all items first, then a row per category in the order of appearance. */
export function scoreTable(items: readonly ScoredItem[]): ScoreRow[] {
  const categories = [...new Set(items.map(({ category }) => category))];
  const rowOf = (category: string, own: readonly ScoredItem[]): ScoreRow => ({
    category,
    strict: shareOf(own.filter(({ verdict }) => verdict.strict).length, own.length),
    contains: shareOf(own.filter(({ verdict }) => verdict.contains).length, own.length),
    recall: own.reduce((sum, { verdict }) => sum + verdict.recall, 0) / own.length,
  });
  const rows = categories.map((name) =>
    rowOf(
      name,
      items.filter(({ category }) => category === name),
    ),
  );
  return [rowOf('all', items), ...rows];
}
