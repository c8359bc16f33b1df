/**
 * @file Random numbers without state: Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"),
 * keyed by the seed and addressed by (block, stream, step). Element i of a tensor comes from block floor(i / 4), word
 * i mod 4, so that any number of a search can be computed on its own: a checkpoint needs no generator.
 */

/** What a number is for. The values are part of the file format of searches: add at the end, never renumber. */
export const STREAMS = {
  /** `step` is the candidate of best-of, 0 for every other method. */
  initialLatent: 0,
  timestep: 1,
  distillationNoise: 2,
  /** Noise of the referee step. */
  stepNoiseA: 3,
  /** Noise of the distillation step. */
  stepNoiseB: 4,
  /** Parameters of each cutout. */
  augmentation: 5,
  /** Windows into the noise bank; under the bank's own key, the bank. */
  pixelNoise: 6,
  erasing: 7,
  refereeChoice: 8,
  jitterOrder: 9,
} as const;

export type Stream = (typeof STREAMS)[keyof typeof STREAMS];

/** The two 32-bit words of a 64-bit seed. */
export interface PhiloxKey {
  readonly low: number;
  readonly high: number;
}

/** Names a sequence of numbers: the same address always gives the same ones. */
export interface Address {
  readonly key: PhiloxKey;
  readonly stream: Stream;
  /** Step of the search, 0 .. 2^32 - 1. */
  readonly step: number;
}

/** The key of a seed: 64 bits; a negative or longer bigint is taken modulo 2^64. */
export function philoxKey(seed: bigint | number): PhiloxKey {
  const bits = BigInt.asUintN(64, BigInt(seed));
  return { low: Number(bits & 0xffffffffn), high: Number(bits >> 32n) };
}

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const ROUNDS = 10;

/** One block: four 32-bit words for a counter of four. */
export function philox(counter: readonly [number, number, number, number], key: PhiloxKey): Uint32Array {
  const words = new Uint32Array(4);
  block(words, 0, counter, key);
  return words;
}

/** `count` raw 32-bit words of an address. */
export function randomWords({ key, stream, step }: Address, count: number): Uint32Array {
  const blocks = Math.ceil(count / 4);
  const words = new Uint32Array(blocks * 4);
  const counter: [number, number, number, number] = [0, stream, step >>> 0, 0];
  for (let i = 0; i < blocks; i++) {
    counter[0] = i;
    block(words, i * 4, counter, key);
  }
  return words.subarray(0, count);
}

function block(
  words: Uint32Array,
  at: number,
  counter: readonly [number, number, number, number],
  key: PhiloxKey,
): void {
  let [c0, c1, c2, c3] = counter;
  let k0 = key.low;
  let k1 = key.high;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = highWord(MULTIPLIER_0, c0);
    const high1 = highWord(MULTIPLIER_1, c2);
    const low0 = Math.imul(MULTIPLIER_0, c0);
    const low1 = Math.imul(MULTIPLIER_1, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + WEYL_0) | 0;
    k1 = (k1 + WEYL_1) | 0;
  }
  words[at] = c0;
  words[at + 1] = c1;
  words[at + 2] = c2;
  words[at + 3] = c3;
}

/** Upper 32 bits of the 64-bit product of two 32-bit words, by 16-bit halves. */
function highWord(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carried = (middle & 0xffff) + aLow * bHigh;
  return aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(carried / 0x10000);
}

/** u = (word >>> 8 + 0.5) 2^-24, in the open interval (0, 1). */
function unit(word: number): number {
  return ((word >>> 8) + 0.5) * 2 ** -24;
}

/** `count` uniform numbers in (0, 1), 24 bits each. */
export function uniforms(address: Address, count: number): Float64Array {
  return Float64Array.from(randomWords(address, count), unit);
}

/** The uniform `u` of (0, 1) stretched to (a, b). */
export function between(u: number, a: number, b: number): number {
  return a + u * (b - a);
}

/** The uniform `u` of (0, 1) as a whole number in [a, b). */
export function integerBetween(u: number, a: number, b: number): number {
  return a + Math.floor(u * (b - a));
}

/**
 * `count` standard normal numbers: Box-Muller on the word pairs (0, 1) and (2, 3) of each block, in double precision,
 * rounded once to float32. Log, sine and cosine are V8's own, hence the same on every CPU.
 */
export function normals(address: Address, count: number): Float32Array {
  const words = randomWords(address, count + (count & 1));
  const values = new Float32Array(words.length);
  for (let i = 0; i < words.length; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(unit(words[i]!)));
    const angle = 2 * Math.PI * unit(words[i + 1]!);
    values[i] = radius * Math.cos(angle);
    values[i + 1] = radius * Math.sin(angle);
  }
  return values.subarray(0, count);
}
