/**
 * @file Damage to the fields of a file, message by message: what stays is a well-formed protobuf that says wrong things.
 */
import type { Message } from '@bufbuild/protobuf';
import { fromBinary, toBinary } from '@bufbuild/protobuf';

import { ModelProtoSchema } from '../../../models/onnx/onnx_pb.ts';
import type { Random } from './random.ts';

type Holder = Record<string | number, unknown>;

/** A place in a message that holds something. */
interface Slot {
  readonly holder: Holder;
  readonly key: string | number;
}

const WHOLES = [
  ...[0n, 1n, -1n, 2n, 3n, 4n, 16n, 63n, 1000n, 65_537n, 1_000_000n, 50_000_000n, 2n ** 31n - 1n, 2n ** 31n],
  ...[2n ** 32n, 2n ** 40n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 31n), -(2n ** 63n), -2n, -1000n],
];
const NUMBERS = [
  0,
  1,
  -1,
  2,
  3,
  5,
  7,
  9,
  10,
  11,
  16,
  17,
  23,
  100,
  2 ** 31 - 1,
  -(2 ** 31),
  0.5,
  NaN,
  Infinity,
  -0,
  1e-40,
];
const TEXTS = [
  ...['', ' ', 'x', 'y', '../weights.bin', '/etc/passwd', 'link.bin', 'folder', 'missing.bin', './weights.bin', '0'],
  ...['-1', '1e3', '99999999999999999999', '\n', '\u001b[31m', '\u2028', '__proto__', 'constructor', 'toString', 'N'],
  ...['ai.onnx', 'com.microsoft', 'If', 'Loop', 'Identity', 'Constant', 'LSTM', 'Reshape', 'N*N', '0*N', '?1', '*'],
];

function isMessage(value: unknown): value is Message {
  return typeof value === 'object' && value !== null && '$typeName' in value;
}

/** All places, and the messages by their type. */
function survey(root: Message): { slots: Slot[]; messages: Map<string, Message[]>; texts: string[] } {
  const slots: Slot[] = [];
  const messages = new Map<string, Message[]>();
  const texts: string[] = [];
  const visit = (holder: Holder): void => {
    for (const key of Object.keys(holder)) {
      if (key === '$typeName' || key === '$unknown' || key === 'case') continue;
      const value = holder[key];
      slots.push({ holder, key });
      if (typeof value === 'string') texts.push(value);
      if (isMessage(value)) messages.set(value.$typeName, [...(messages.get(value.$typeName) ?? []), value]);
      // Long lists of numbers are one place with a few of their elements.
      if (Array.isArray(value)) visit((value.length > 32 ? value.slice(0, 8) : value) as unknown as Holder);
      else if (typeof value === 'object' && value !== null && !(value instanceof Uint8Array)) visit(value as Holder);
    }
  };
  visit(root);
  return { slots, messages, texts };
}

interface Material {
  readonly random: Random;
  readonly messages: ReadonlyMap<string, readonly Message[]>;
  readonly texts: readonly string[];
}

function otherText(value: string, { random, texts }: Material): string {
  switch (random.below(6)) {
    case 0:
      return random.pick(TEXTS);
    case 1:
      return value + random.pick(TEXTS);
    case 2:
      return random.below(20) === 0 ? 'n'.repeat(200_000) : value.slice(0, -1);
    default:
      return random.pick(texts);
  }
}

function otherBytes(value: Uint8Array, random: Random): Uint8Array {
  const kept = value.slice(0, random.below(value.length + 1));
  const more = random.bytes(random.below(random.below(50) === 0 ? 100_000 : 12));
  return random.below(2) === 0 ? kept : new Uint8Array(Buffer.concat([value, more]));
}

function otherList(list: unknown[], { random }: Material): unknown[] {
  const at = random.below(list.length + 1);
  const [from] = [random.below(Math.max(list.length, 1))];
  switch (random.below(7)) {
    case 0:
      return [];
    case 1:
      return list.toSpliced(at, 1);
    case 2:
      return list.length === 0 ? list : list.toSpliced(at, 0, list[from]);
    case 3:
      return list.toReversed();
    case 4:
      return list.length === 0 ? list : list.with(from, list[random.below(list.length)]);
    case 5:
      return list.length === 0 || random.below(10) > 0
        ? list.slice(0, at)
        : Array.from({ length: 2000 }, () => list[from]);
    default:
      return [...list, ...list];
  }
}

/** A message may take the place of one that lies within it, hence a copy; the prototype holds its defaults. */
function copyOf(value: unknown): unknown {
  if (value instanceof Uint8Array) return value.slice();
  if (Array.isArray(value)) return value.map(copyOf);
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).map(([name, field]) => [name, copyOf(field)]);
  return Object.assign(
    Object.create(Object.getPrototypeOf(value) as object | null) as object,
    Object.fromEntries(fields),
  );
}

function other(value: unknown, material: Material): unknown {
  const { random, messages } = material;
  switch (typeof value) {
    case 'bigint':
      return random.below(3) === 0 ? value + BigInt(random.below(5) - 2) : random.pick(WHOLES);
    case 'number':
      return random.below(3) === 0 ? value + random.below(5) - 2 : random.pick(NUMBERS);
    case 'string':
      return otherText(value, material);
    case 'boolean':
      return !value;
    default:
      if (value instanceof Uint8Array) return otherBytes(value, random);
      if (Array.isArray(value)) return otherList(value as unknown[], material);
      if (isMessage(value))
        return random.below(3) === 0 ? undefined : copyOf(random.pick(messages.get(value.$typeName)!));
      return value;
  }
}

/** One to four fields changed; undefined where the result cannot be written as protobuf. */
export function damageFields(bytes: Uint8Array, random: Random, donor: Uint8Array): Uint8Array | undefined {
  const model = fromBinary(ModelProtoSchema, bytes);
  const donated = survey(fromBinary(ModelProtoSchema, donor));
  for (let count = random.below(4); count >= 0; count -= 1) {
    const own = survey(model);
    const messages = new Map(own.messages);
    for (const [type, found] of donated.messages) messages.set(type, [...(messages.get(type) ?? []), ...found]);
    const { holder, key } = random.pick(own.slots);
    holder[key] = other(holder[key], { random, messages, texts: [...own.texts, ...donated.texts, 'x'] });
  }
  try {
    return toBinary(ModelProtoSchema, model);
  } catch {
    return undefined;
  }
}
