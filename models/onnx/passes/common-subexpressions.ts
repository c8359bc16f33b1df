/**
 * @file Computes equal things once: nodes of one operator with the same inputs and attributes, constants of equal bytes,
 * weights of one byte range.
 */
import type { Tensor } from '../dtype.ts';
import type { Attribute, Attributes, Graph, Initializer, Node, Value } from '../graph.ts';
import { RANDOM_OPERATORS } from '../random-operators.ts';
import { sameShape } from '../shapes.ts';
import { rewrite } from './rewrite.ts';

/** Exchanging their inputs changes no bit of the result. */
const COMMUTATIVE = new Set(['Add', 'Mul', 'And', 'Or', 'Xor', 'Equal']);

export function shareCommonSubexpressions(graph: Graph): Graph {
  const numbers = new Numbers();
  const known = new Map<number, Node[]>();
  const weights = new Map<string, Initializer[]>();
  return rewrite(
    graph,
    (node, rewriting) => {
      if (RANDOM_OPERATORS.has(node.op)) return undefined;
      const alike = listed(known, digestOf(node, numbers));
      const equal = alike.find((other) => computesSame(other, node));
      if (equal) return equal.outputs;
      const outputs = rewriting.keep(node);
      alike.push({ ...node, outputs });
      return outputs;
    },
    {
      initializer: (initializer, b) => {
        const alike = listed(weights, weightKey(initializer));
        const equal = alike.find((other) => holdsSame(other, initializer));
        if (equal) return equal.value;
        alike.push(initializer);
        return b.keepInitializer(initializer);
      },
    },
  );
}

/** The list of a key, which may be added to. */
function listed<K, T>(lists: Map<K, T[]>, key: K): T[] {
  const known = lists.get(key);
  if (known) return known;
  const list: T[] = [];
  lists.set(key, list);
  return list;
}

/** A number for each thing: for operators by name, for values by identity. */
class Numbers {
  readonly #numbers = new Map<unknown, number>();

  of(thing: Value | string | undefined): number {
    const known = this.#numbers.get(thing);
    if (known !== undefined) return known;
    this.#numbers.set(thing, this.#numbers.size);
    return this.#numbers.size - 1;
  }
}

/** The same for nodes that compute the same; few others have it. Attributes rarely tell nodes of the same inputs apart. */
function digestOf({ op, inputs, outputs }: Node, numbers: Numbers): number {
  let digest = mixed(numbers.of(op), outputs.length);
  if (COMMUTATIVE.has(op)) {
    for (const input of inputs) digest = (digest + mixed(0, numbers.of(input))) | 0;
  } else {
    for (const input of inputs) digest = mixed(digest, numbers.of(input));
  }
  return digest;
}

function mixed(state: number, next: number): number {
  return Math.imul(state ^ next, 0x01000193) ^ (state >>> 15);
}

function computesSame(a: Node, b: Node): boolean {
  return (
    a.op === b.op &&
    a.domain === b.domain &&
    a.outputs.length === b.outputs.length &&
    readsSame(a, b) &&
    sameAttributes(a.attributes, b.attributes)
  );
}

function readsSame(a: Node, b: Node): boolean {
  if (a.inputs.length !== b.inputs.length) return false;
  if (a.inputs.every((input, at) => input === b.inputs[at])) return true;
  return COMMUTATIVE.has(a.op) && a.inputs[0] === b.inputs[1] && a.inputs[1] === b.inputs[0];
}

function sameAttributes(a: Attributes, b: Attributes): boolean {
  if (a === b) return true;
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && sameAttribute(a[name]!, b[name]!))
  );
}

function sameAttribute(a: Attribute, b: Attribute): boolean {
  if (a === b) return true;
  if (a.type === 'tensor' && b.type === 'tensor') return sameTensor(a.value, b.value);
  if (a.type !== b.type) return false;
  const [left, right] = [[a.value].flat(), [b.value].flat()];
  // 0 and -0 are different numbers.
  return left.length === right.length && left.every((value, at) => Object.is(value, right[at]));
}

function sameTensor(a: Tensor, b: Tensor): boolean {
  return a.dtype === b.dtype && sameShape(a.shape, b.shape) && sameBytes(bytesOf(a), bytesOf(b));
}

/** Equal initializers have equal keys; the reverse is checked byte by byte. */
function weightKey({ value, data, external }: Initializer): string {
  const type = `${value.dtype}[${value.shape.join()}]`;
  return external ? `${type}@${external.offset}+${external.length}@${external.file}` : `${type}#${hash(data)}`;
}

function holdsSame(a: Initializer, b: Initializer): boolean {
  if (!a.data || !b.data) return a.external !== undefined && b.external !== undefined;
  return sameBytes(bytesOf(a.data), bytesOf(b.data));
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at += 1) if (a[at] !== b[at]) return false;
  return true;
}

/** Bytes, not numbers: 0 and -0 are different constants. */
function bytesOf({ data }: Tensor): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** FNV-1a, 32 bits, four bytes at a time where they lie so. */
function hash({ data }: Tensor): number {
  const { buffer, byteOffset, byteLength } = data;
  let state = 0x811c9dc5;
  const words = byteOffset % 4 === 0 ? new Int32Array(buffer, byteOffset, Math.floor(byteLength / 4)) : [];
  for (let at = 0; at < words.length; at += 1) state = mixed(state, words[at]!);
  const bytes = new Uint8Array(buffer, byteOffset + 4 * words.length, byteLength - 4 * words.length);
  for (const byte of bytes) state = mixed(state, byte);
  return state >>> 0;
}
