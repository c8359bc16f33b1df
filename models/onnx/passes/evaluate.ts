/**
 * @file Operators on small constants, for folding: movement, whole-number arithmetic, and those float operations that
 * IEEE 754 rounds in one way only, so that folding changes no bit.
 */
import type { DType, Tensor, TypedArray } from '../dtype.ts';
import { DTYPES, elementCount } from '../dtype.ts';
import type { AttributeReader } from '../graph.ts';
import { sliceExtent } from '../infer/movement.ts';
import { BINARY, COMPARISONS, UNARY } from './scalar-operators.ts';

export interface Evaluation {
  readonly op: string;
  readonly inputs: readonly (Tensor | undefined)[];
  readonly attributes: AttributeReader;
  /** Type and shape of the result, as inferred. */
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** The result, or undefined where it is not for us to compute. */
export function evaluate(evaluation: Evaluation): Tensor | undefined {
  const { op } = evaluation;
  if (UNARY.has(op)) return unary(evaluation);
  if (BINARY.has(op) || COMPARISONS.has(op)) return binary(evaluation);
  return RULES[op]?.(evaluation);
}

type Rule = (evaluation: Evaluation) => Tensor | undefined;

/** Same elements in the same order. */
const relabel: Rule = ({ inputs: [x], dtype, shape }) => x && { dtype, shape, data: x.data };

const RULES: Readonly<Record<string, Rule>> = {
  Identity: relabel,
  Reshape: relabel,
  Flatten: relabel,
  Squeeze: relabel,
  Unsqueeze: relabel,
  Cast: ({ inputs: [x], dtype, shape }) => x && cast(x, dtype, shape),
  Transpose: (evaluation) => {
    const rank = evaluation.shape.length;
    const perm = evaluation.attributes.ints('perm') ?? evaluation.shape.map((_, axis) => rank - 1 - axis);
    return stride(evaluation, (own) => ({ steps: perm.map((axis) => own[axis]!) }));
  },
  Expand: (evaluation) => stride(evaluation, () => ({ steps: broadcastSteps(evaluation.inputs[0], evaluation.shape) })),
  Tile: (evaluation) => {
    const sizes = evaluation.inputs[0]?.shape ?? [];
    return move(evaluation, (index, strides) =>
      sizes.reduce((at, size, axis) => at + (index[axis]! % size) * strides[axis]!, 0),
    );
  },
  Gather: (evaluation) => {
    const [data, indices] = evaluation.inputs;
    if (!data || !indices) return undefined;
    const axis = wrap(evaluation.attributes.int('axis', 0), data.shape.length);
    const picks = wholes(indices);
    const indexStrides = stridesOf(indices.shape);
    const rank = indices.shape.length;
    return move(evaluation, (index, strides) => {
      const pick = picks[indexStrides.reduce((at, stride, k) => at + stride * index[axis + k]!, 0)]!;
      const source = [...index.slice(0, axis), wrap(pick, data.shape[axis]!), ...index.slice(axis + rank)];
      return source.reduce((at, position, k) => at + position * strides[k]!, 0);
    });
  },
  Slice: (evaluation) => {
    const [x, starts, ends, axes, steps] = evaluation.inputs;
    if (!x || !starts || !ends) return undefined;
    const rank = x.shape.length;
    const firsts = x.shape.map(() => 0);
    const strides = x.shape.map(() => 1);
    wholes(starts).forEach((start, at) => {
      const axis = wrap(axes ? wholes(axes)[at]! : at, rank);
      strides[axis] = steps ? wholes(steps)[at]! : 1;
      firsts[axis] = sliceExtent(x.shape[axis]!, start, wholes(ends)[at]!, strides[axis]).first;
    });
    return stride(evaluation, (own) => ({
      first: firsts.reduce((at, first, axis) => at + first * own[axis]!, 0),
      steps: strides.map((step, axis) => step * own[axis]!),
    }));
  },
  Concat: ({ inputs, attributes, dtype, shape }) => {
    const axis = wrap(attributes.int('axis', 0), shape.length);
    const out = empty(dtype, shape);
    const outer = elementCount(shape.slice(0, axis));
    let offset = 0;
    for (let block = 0; block < outer; block += 1) {
      for (const input of inputs) {
        const run = elementCount(input!.shape.slice(axis));
        out.data.set(input!.data.subarray(block * run, (block + 1) * run) as never, offset);
        offset += run;
      }
    }
    return out;
  },
  ConstantOfShape: ({ attributes, dtype, shape }) => {
    const out = empty(dtype, shape);
    const value = attributes.tensor('value')?.data[0];
    if (value !== undefined) out.data.fill(value as never);
    return out;
  },
  Range: ({ inputs: [start, , delta], dtype, shape }) => {
    if (dtype !== 'int64' || !start || !delta) return undefined;
    const [first, step] = [start.data[0] as bigint, delta.data[0] as bigint];
    return { dtype, shape, data: BigInt64Array.from({ length: shape[0]! }, (_, at) => first + BigInt(at) * step) };
  },
  Where: ({ inputs: [condition, x, y], dtype, shape }) => {
    if (!condition || !x || !y) return undefined;
    const out = empty(dtype, shape);
    const steps = [condition, x, y].map((tensor) => broadcastSteps(tensor, shape));
    each(shape, steps, (at, [ofCondition, ofX, ofY]) => {
      out.data[at] = (condition.data[ofCondition!] ? x.data[ofX!] : y.data[ofY!]) as never;
    });
    return out;
  },
};

function unary({ op, inputs: [x], dtype, shape }: Evaluation): Tensor | undefined {
  const compute = x && UNARY.get(op)?.[dtype];
  if (!compute) return undefined;
  const out = empty(dtype, shape);
  for (let at = 0; at < out.data.length; at += 1) out.data[at] = compute(x.data[at] as never);
  return out;
}

function binary({ op, inputs, dtype, shape }: Evaluation): Tensor | undefined {
  const [x, y] = inputs;
  const compute = x && (BINARY.get(op) ?? COMPARISONS.get(op))?.[x.dtype];
  if (!y || !compute || inputs.length !== 2) return undefined;
  const out = empty(dtype, shape);
  const open: number[] = [];
  const steps = [x, y].map((tensor) => broadcastSteps(tensor, shape));
  each(shape, steps, (at, [ofX, ofY]) => {
    const value = compute(x.data[ofX!] as never, y.data[ofY!] as never);
    if (value === undefined) open.push(at);
    else out.data[at] = value;
  });
  return open.length === 0 ? out : undefined;
}

/** Between types that hold the element exactly, and truncation of floats that fit. */
function cast({ dtype: from, data }: Tensor, dtype: DType, shape: readonly number[]): Tensor | undefined {
  const isHalf = (type: DType): boolean => type === 'float16' || type === 'bfloat16';
  if (isHalf(from) || isHalf(dtype)) return from === dtype ? { dtype, shape, data } : undefined;
  const out = empty(dtype, shape);
  for (let at = 0; at < data.length; at += 1) {
    const value = Number(data[at]);
    const isWhole = !DTYPES[dtype].isFloat && dtype !== 'bool';
    if (
      Math.abs(value) > (isWhole ? 2 ** 31 - 1 : 2 ** 53) ||
      Number.isNaN(value) ||
      (dtype.startsWith('uint') && value < 0)
    )
      return undefined;
    const converted = dtype === 'bool' ? Number(value !== 0) : isWhole ? Math.trunc(value) : value;
    out.data[at] =
      out.data instanceof BigInt64Array || out.data instanceof BigUint64Array ? BigInt(converted) : converted;
    if (isWhole && Number(out.data[at]) !== converted) return undefined;
  }
  return out;
}

type Source = (index: readonly number[], strides: readonly number[]) => number;

/** The result whose element at `index` is the element of input 0 at `source(index)`. */
function move({ inputs: [x], dtype, shape }: Evaluation, source: Source): Tensor | undefined {
  if (!x) return undefined;
  const out = empty(dtype, shape);
  const strides = stridesOf(x.shape);
  const index = shape.map(() => 0);
  for (let at = 0; at < out.data.length; at += 1) {
    out.data[at] = x.data[source(index, strides)] as never;
    for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
      index[axis]! += 1;
      if (index[axis]! < shape[axis]!) break;
      index[axis] = 0;
    }
  }
  return out;
}

/** Where a walk through input 0 begins, and how far it goes for a step along each axis of the result. */
interface Walk {
  readonly first?: number;
  readonly steps: readonly number[];
}

/** As `move`, where every axis of the result goes through input 0 in equal steps. */
function stride(
  { inputs: [x], dtype, shape }: Evaluation,
  walkOf: (strides: readonly number[]) => Walk,
): Tensor | undefined {
  if (!x) return undefined;
  const out = empty(dtype, shape);
  const { first = 0, steps } = walkOf(stridesOf(x.shape));
  const [from, to] = [x.data, out.data];
  // The innermost axis by itself: weights have millions of elements.
  const [run, step] = [shape.at(-1) ?? 1, steps.at(-1) ?? 0];
  each(shape.slice(0, -1), [steps], (row, [source]) => {
    let place = first + source!;
    for (let at = row * run; at < (row + 1) * run; at += 1, place += step) to[at] = from[place] as never;
  });
  return out;
}

/** Along each axis of the result of a broadcast: 0 where the tensor is repeated. */
function broadcastSteps(tensor: Tensor | undefined, shape: readonly number[]): readonly number[] {
  const sizes = tensor?.shape ?? [];
  const [strides, skipped] = [stridesOf(sizes), shape.length - sizes.length];
  return shape.map((_, axis) => (axis < skipped || sizes[axis - skipped] === 1 ? 0 : strides[axis - skipped]!));
}

/** Goes through a result in its order, with the places of tensors that are walked through beside it. */
function each(
  shape: readonly number[],
  steps: readonly (readonly number[])[],
  visit: (at: number, places: readonly number[]) => void,
): void {
  const count = elementCount(shape);
  const index = shape.map(() => 0);
  const places = steps.map(() => 0);
  for (let at = 0; at < count; at += 1) {
    visit(at, places);
    for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
      index[axis]! += 1;
      const isEnd = index[axis] === shape[axis];
      const back = isEnd ? shape[axis]! : 0;
      for (let which = 0; which < places.length; which += 1) places[which]! += (1 - back) * steps[which]![axis]!;
      if (!isEnd) break;
      index[axis] = 0;
    }
  }
}

function stridesOf(shape: readonly number[]): number[] {
  return shape.map((_, axis) => elementCount(shape.slice(axis + 1)));
}

function empty(dtype: DType, shape: readonly number[]): { dtype: DType; shape: readonly number[]; data: TypedArray } {
  const count = elementCount(shape);
  return { dtype, shape, data: new DTYPES[dtype].array(new ArrayBuffer(count * DTYPES[dtype].bytes), 0, count) };
}

function wholes(tensor: Tensor): number[] {
  return Array.from(tensor.data as ArrayLike<number | bigint>, Number);
}

function wrap(at: number, length: number): number {
  return at < 0 ? at + length : at;
}
