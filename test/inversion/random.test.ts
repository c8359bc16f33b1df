import { describe, expect, test } from 'vitest';

import { integerBetween, normals, philox, philoxKey, randomWords, STREAMS, uniforms } from '../../inversion/random.ts';

const key = philoxKey(7n);
const address = { key, stream: STREAMS.distillationNoise, step: 3 };

describe('Philox 4x32-10', () => {
  // Random123's kat_vectors.
  test.each([
    [[0, 0, 0, 0], [0, 0], '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
    [[-1, -1, -1, -1], [-1, -1], '408f276d 41c83b0e a20bc7c6 6d5451fd'],
    [[0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0], 'd16cfe09 94fdcceb 5001e420 24126ea1'],
  ] as const)('counter %j, key %j gives the published words', (counter, [low, high], expected) => {
    const words = philox([...counter].map((word) => word >>> 0) as [number, number, number, number], {
      low: low >>> 0,
      high: high >>> 0,
    });
    expect(Array.from(words, (word) => word.toString(16).padStart(8, '0')).join(' ')).toBe(expected);
  });

  test('element i of an address is word i mod 4 of block floor(i / 4)', () => {
    const words = randomWords(address, 10);
    for (let i = 0; i < 10; i++) {
      const block = philox([Math.floor(i / 4), address.stream, address.step, 0], key);
      expect(words[i]).toBe(block[i % 4]);
    }
  });

  test('a seed is 64 bits, low word first', () => {
    expect(philoxKey(0x0123456789abcdefn)).toEqual({ low: 0x89abcdef, high: 0x01234567 });
    expect(philoxKey(7)).toEqual(philoxKey(7n));
    expect(philoxKey(2n ** 64n + 7n)).toEqual(philoxKey(7n));
  });

  test('a longer sequence begins with the shorter one', () => {
    expect(normals(address, 1001).slice(0, 333)).toEqual(normals(address, 333));
    expect(normals(address, 334).slice(0, 333)).toEqual(normals(address, 333));
  });

  test('seed, stream and step each change every number', () => {
    const base = normals(address, 64);
    const others = [
      normals({ ...address, key: philoxKey(8n) }, 64),
      normals({ ...address, key: philoxKey(7n + 2n ** 32n) }, 64),
      normals({ ...address, stream: STREAMS.stepNoiseA }, 64),
      normals({ ...address, step: 4 }, 64),
    ];
    for (const other of others) expect(other.some((value, i) => value === base[i])).toBe(false);
  });

  test('streams keep their numbers: they are a file format', () => {
    expect(STREAMS).toEqual({
      initialLatent: 0,
      timestep: 1,
      distillationNoise: 2,
      stepNoiseA: 3,
      stepNoiseB: 4,
      augmentation: 5,
      pixelNoise: 6,
      erasing: 7,
      refereeChoice: 8,
      jitterOrder: 9,
    });
  });
});

describe('distributions', () => {
  const COUNT = 400_000;

  test('uniform numbers are (word >>> 8 + 1/2) 2^-24', () => {
    const words = randomWords(address, 100);
    const expected = Array.from(words, (word) => (Math.floor(word / 256) + 0.5) / 16_777_216);
    expect(Array.from(uniforms(address, 100))).toEqual(expected);
  });

  test('uniform numbers have mean 1/2, variance 1/12, and no correlation with their neighbour', () => {
    const u = uniforms(address, COUNT);
    expect(moment(u, (x) => x)).toBeCloseTo(0.5, 2.5);
    expect(moment(u, (x) => (x - 0.5) ** 2)).toBeCloseTo(1 / 12, 2.5);
    expect(Math.abs(moment(u, (x, i) => (x - 0.5) * ((u[i + 1] ?? 0.5) - 0.5)))).toBeLessThan(
      4 / 12 / Math.sqrt(COUNT),
    );
  });

  // Moments of N(0, 1): 0, 1, 0, 3; each within four standard errors, sqrt(var(x^k)/n) with var 1, 2, 15, 96.
  test.each([
    [1, 0, 1],
    [2, 1, 2],
    [3, 0, 15],
    [4, 3, 96],
  ])('normal numbers: moment %i is %i', (order, expected, variance) => {
    const error = Math.abs(moment(normals(address, COUNT), (x) => x ** order) - expected);
    expect(error).toBeLessThan(4 * Math.sqrt(variance / COUNT));
  });

  test('both halves of a Box-Muller pair are normal and independent', () => {
    const values = normals(address, COUNT);
    const products = Array.from({ length: COUNT / 2 }, (_, i) => values[2 * i]! * values[2 * i + 1]!);
    expect(Math.abs(moment(products, (x) => x))).toBeLessThan(4 / Math.sqrt(COUNT / 2));
    const second = values.filter((_, i) => i % 2 === 1);
    expect(Math.abs(moment(second, (x) => x * x) - 1)).toBeLessThan(4 * Math.sqrt(2 / (COUNT / 2)));
  });

  test('normal numbers are Box-Muller in float64, rounded once', () => {
    const u = uniforms(address, 4);
    const expected = [
      Math.sqrt(-2 * Math.log(u[0]!)) * Math.cos(2 * Math.PI * u[1]!),
      Math.sqrt(-2 * Math.log(u[0]!)) * Math.sin(2 * Math.PI * u[1]!),
      Math.sqrt(-2 * Math.log(u[2]!)) * Math.cos(2 * Math.PI * u[3]!),
      Math.sqrt(-2 * Math.log(u[2]!)) * Math.sin(2 * Math.PI * u[3]!),
    ];
    expect(Array.from(normals(address, 4))).toEqual(expected.map(Math.fround));
  });

  test('whole numbers cover [a, b) and nothing else', () => {
    const seen = new Set(Array.from(uniforms(address, 5000), (u) => integerBetween(u, 50, 58)));
    expect([...seen].sort((a, b) => a - b)).toEqual([50, 51, 52, 53, 54, 55, 56, 57]);
  });

  // Other bits here mean other pictures for the same seed. FNV-1a of the same formula in Python with glibc's functions.
  test('golden values', () => {
    expect(digest(normals({ key: philoxKey(0n), stream: STREAMS.initialLatent, step: 0 }, 4096))).toBe('9e54b00c');
    expect(digest(normals({ key: philoxKey(2n ** 64n - 1n), stream: STREAMS.stepNoiseB, step: 159 }, 4096))).toBe(
      '66bd0162',
    );
  });
});

function moment(values: ArrayLike<number>, of: (value: number, index: number) => number): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += of(values[i]!, i);
  return sum / values.length;
}

/** FNV-1a over the bits. */
function digest(values: Float32Array): string {
  let hash = 0x811c9dc5;
  for (const word of new Uint32Array(values.buffer, values.byteOffset, values.length)) {
    hash = Math.imul(hash ^ word, 0x01000193) >>> 0;
  }
  return hash.toString(16);
}
