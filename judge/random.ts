/**
 * @file A small seeded generator for drawings: mulberry32 (Tommy Ettinger, public domain), 2^32 states. Good enough to
 * place shapes, far too small for anything else.
 */

export interface Random {
  /** 0 <= x < 1. */
  next(): number;
  uniform(from: number, to: number): number;
  /** A whole number, 0 <= x < count. */
  below(count: number): number;
  /** Standard normal, by Box and Muller. */
  normal(): number;
  pick<T>(choices: readonly T[]): T;
}

/** The same seed gives the same numbers. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (count: number): number => Math.floor(next() * count);
  return {
    next,
    below,
    uniform: (from, to) => from + (to - from) * next(),
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
    pick: (choices) => choices[below(choices.length)]!,
  };
}
