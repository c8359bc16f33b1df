/**
 * @file Damage to the bytes of a file: bits, lengths, pieces of other files.
 */
import type { Random } from './random.ts';

type Damage = (bytes: Uint8Array, random: Random, other: Uint8Array) => Uint8Array;

const joined = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

/** Variable-length numbers of protobuf: 2^31 - 1, 2^32 - 1, 2^63 - 1, 2^64 - 1, one that never ends. */
const LENGTHS = [
  [255, 255, 255, 255, 7],
  [255, 255, 255, 255, 15],
  [255, 255, 255, 255, 255, 255, 255, 255, 127],
  [255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
  [128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128],
].map((bytes) => Uint8Array.from(bytes));

const DAMAGES: readonly Damage[] = [
  (bytes, random) => bytes.slice(0, random.below(bytes.length + 1)),
  (bytes, random) => {
    const copy = bytes.slice();
    for (let count = random.below(8); count >= 0; count -= 1) copy[random.below(copy.length)]! ^= 1 << random.below(8);
    return copy;
  },
  (bytes, random) => {
    const copy = bytes.slice();
    copy[random.below(copy.length)] = random.pick([0, 1, 127, 128, 255, random.below(256)]);
    return copy;
  },
  (bytes, random) => {
    const at = random.below(bytes.length + 1);
    return joined(bytes.subarray(0, at), random.pick(LENGTHS), bytes.subarray(at + random.below(10)));
  },
  (bytes, random) => {
    const at = random.below(bytes.length + 1);
    return joined(bytes.subarray(0, at), random.bytes(1 + random.below(12)), bytes.subarray(at));
  },
  (bytes, random) => {
    const at = random.below(bytes.length + 1);
    return joined(bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(60)));
  },
  (bytes, random) => {
    const [from, to] = [random.below(bytes.length + 1), random.below(bytes.length + 1)].sort((a, b) => a - b);
    return joined(bytes.subarray(0, to), bytes.subarray(from));
  },
  (bytes, random, other) => {
    const [at, from] = [random.below(bytes.length + 1), random.below(other.length + 1)];
    return joined(bytes.subarray(0, at), other.subarray(from));
  },
  (bytes, random, other) => {
    const [at, from] = [random.below(bytes.length + 1), random.below(other.length + 1)];
    return joined(bytes.subarray(0, at), other.subarray(from, from + random.below(100)), bytes.subarray(at));
  },
];

/** Files of other kinds. */
const MAGICS = ['PK\x03\x04', '\x89PNG\r\n\x1a\n', '\x7fELF', '#!/bin/sh\n', '{"a": 1}', 'ORTM', '\x80\x02}', ''];

/** One to three damages, or a file of another kind. */
export function damageBytes(bytes: Uint8Array, random: Random, other: Uint8Array): Uint8Array {
  if (random.below(40) === 0)
    return joined(Buffer.from(random.pick(MAGICS), 'latin1'), random.bytes(random.below(200)));
  let damaged = bytes;
  for (let count = random.below(3); count >= 0 && damaged.length > 0; count -= 1) {
    damaged = random.pick(DAMAGES)(damaged, random, other);
  }
  return damaged;
}
