/**
 * @file Computes equal things once: nodes of one operator with the same inputs and attributes, constants of equal bytes,
 * weights of one byte range.
 */
import type { Tensor } from '../dtype.ts';
import type { Attribute, Graph, Initializer, Node, Value } from '../graph.ts';
import { rewrite } from './rewrite.ts';

/** Exchanging their inputs changes no bit of the result. */
const COMMUTATIVE = new Set(['Add', 'Mul', 'And', 'Or', 'Xor', 'Equal']);
/** Each call gives other numbers. */
const RANDOM = new Set([
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
  'Bernoulli',
  'Multinomial',
]);

export function shareCommonSubexpressions(graph: Graph): Graph {
  const ids = new Map<Value, number>();
  const idOf = (value: Value | undefined): number => {
    if (!value) return -1;
    const id = ids.get(value) ?? ids.size;
    ids.set(value, id);
    return id;
  };
  const known = new Map<string, readonly Value[]>();
  const weights = new Map<string, { initializer: Initializer; value: Value }[]>();
  return rewrite(
    graph,
    (node, rewriting) => {
      if (RANDOM.has(node.op)) return undefined;
      const key = keyOf(node, idOf);
      const equal = known.get(key);
      if (equal) return equal;
      const outputs = rewriting.keep(node);
      known.set(key, outputs);
      return outputs;
    },
    {
      initializer: (initializer, b) => {
        const key = weightKey(initializer);
        const group = weights.get(key) ?? [];
        weights.set(key, group);
        const equal = group.find((other) => holdsSame(other.initializer, initializer));
        if (equal) return equal.value;
        const kept = b.keepInitializer(initializer);
        group.push({ initializer, value: kept });
        return kept;
      },
    },
  );
}

function keyOf(node: Node, idOf: (value: Value | undefined) => number): string {
  const inputs = node.inputs.map(idOf);
  if (COMMUTATIVE.has(node.op)) inputs.sort((a, b) => a - b);
  const attributes = Object.entries(node.attributes)
    .map(([name, attribute]) => `${name}=${attributeKey(attribute)}`)
    .sort();
  return JSON.stringify([node.op, node.domain, node.outputs.length, inputs, attributes]);
}

function attributeKey(attribute: Attribute): string {
  if (attribute.type === 'tensor') {
    const { dtype, shape, data } = attribute.value;
    return `${dtype}[${shape.join()}]${bytesOf({ dtype, shape, data }).join()}`;
  }
  const values: readonly (string | number)[] = Array.isArray(attribute.value)
    ? attribute.value
    : [attribute.value as string];
  return `${attribute.type}:${JSON.stringify(values.map((value) => (typeof value === 'number' ? numberKey(value) : value)))}`;
}

/** JSON has no -0, NaN or infinities. */
function numberKey(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

/** Equal initializers have equal keys; the reverse is checked byte by byte. */
function weightKey({ value, data, external }: Initializer): string {
  const type = `${value.dtype}[${value.shape.join()}]`;
  return external ? `${type}@${external.offset}+${external.length}@${external.file}` : `${type}#${hash(bytesOf(data))}`;
}

function holdsSame(a: Initializer, b: Initializer): boolean {
  if (!a.data || !b.data) return a.external !== undefined && b.external !== undefined;
  const [left, right] = [bytesOf(a.data), bytesOf(b.data)];
  return left.length === right.length && left.every((byte, at) => byte === right[at]);
}

/** Bytes, not numbers: 0 and -0 are different constants. */
function bytesOf({ data }: Tensor): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** FNV-1a, 32 bits. */
function hash(bytes: Uint8Array): number {
  let state = 0x811c9dc5;
  for (const byte of bytes) state = Math.imul(state ^ byte, 0x01000193);
  return state >>> 0;
}
