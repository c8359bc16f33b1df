/**
 * @file Inference of operators that move elements without changing them.
 */
import type { Dim, Shape } from '../shapes.ts';
import { broadcastShapes, dimProduct, dimQuotient, dimSum, formatShape, unknownDim } from '../shapes.ts';
import type { InferContext, Inferred, InferRule } from './rule.ts';
import { axisOf, expectEqual, numbersOf, problem, rankOf, required, sameType } from './context.ts';
import { sizesOf } from './shape.ts';

const transpose: InferRule = (context) => {
  const x = required(context, 0);
  const perm = context.attributes.ints('perm') ?? x.shape.map((_, axis) => x.shape.length - 1 - axis);
  if (
    perm.length !== x.shape.length ||
    new Set(perm).size !== perm.length ||
    perm.some((axis) => x.shape[axis] === undefined)
  ) {
    throw problem(context, `perm [${perm.join(', ')}] is no permutation of the axes of ${formatShape(x.shape)}`);
  }
  return [{ dtype: x.dtype, shape: perm.map((axis) => x.shape[axis]!) }];
};

const reshape: InferRule = (context) => {
  const x = required(context, 0);
  const asked = sizesOf(context, 1);
  const keepsZero = context.attributes.int('allowzero', 0) === 1;
  const shape = asked.map((dim, axis): Dim => (dim === 0 && !keepsZero ? (x.shape[axis] ?? 1) : dim));
  const rest = shape.indexOf(-1);
  const total = dimProduct(x.shape);
  if (shape.lastIndexOf(-1) !== rest) throw problem(context, `more than one size is -1 in ${formatShape(asked)}`);
  if (rest >= 0) {
    const others = dimProduct(shape.filter((_, axis) => axis !== rest));
    const quotient = dimQuotient(total, others);
    if (quotient === undefined && typeof total === 'number' && typeof others === 'number') {
      throw problem(context, `${formatShape(x.shape)} cannot be reshaped to ${formatShape(asked)}`);
    }
    shape[rest] = quotient ?? unknownDim();
  } else {
    const product = dimProduct(shape);
    if (typeof total === 'number' && typeof product === 'number' && total !== product) {
      throw problem(context, `${formatShape(x.shape)} has ${total} elements, ${formatShape(asked)} has ${product}`);
    }
  }
  return [{ dtype: x.dtype, shape, dims: shape.length <= 1 ? context.dims(x) : undefined }];
};

const flatten: InferRule = (context) => {
  const x = required(context, 0);
  const axis = context.attributes.int('axis', 1);
  const at = axis < 0 ? axis + x.shape.length : axis;
  if (at < 0 || at > x.shape.length) throw problem(context, `axis ${axis} is outside ${formatShape(x.shape)}`);
  return [{ dtype: x.dtype, shape: [dimProduct(x.shape.slice(0, at)), dimProduct(x.shape.slice(at))] }];
};

const concat: InferRule = (context) => {
  const values = context.inputs.map((_, at) => required(context, at));
  const first = required(context, 0);
  sameType(context, values);
  const axis = axisOf(context, context.attributes.int('axis', 0), first.shape.length);
  for (const value of values) {
    if (value.shape.length !== first.shape.length)
      throw problem(context, `inputs have shapes ${formatShape(first.shape)} and ${formatShape(value.shape)}`);
  }
  const shape = first.shape.map((dim, at): Dim => {
    const sizes = values.map((value) => value.shape[at]!);
    if (at === axis) return sizes.reduce((sum, size) => dimSum(sum, size) ?? unknownDim());
    const known = sizes.find((size) => typeof size === 'number') ?? dim;
    for (const size of sizes) expectEqual(context, known, size, `size of axis ${at}`);
    return known;
  });
  const parts = values.map((value) => context.dims(value));
  const dims = first.shape.length === 1 && parts.every((part) => part !== undefined) ? parts.flat() : undefined;
  return [{ dtype: first.dtype, shape, dims }];
};

const split: InferRule = (context) => {
  const x = required(context, 0);
  const axis = axisOf(context, context.attributes.int('axis', 0), x.shape.length);
  const given = context.attributes.ints('split') ?? numbersOf(context, 1);
  const count = context.outputs;
  const length = x.shape[axis]!;
  const sizes = Array.from({ length: count }, (_, at): Dim => {
    if (given === 'unknown') return unknownDim();
    if (given) return given[at] ?? 0;
    if (typeof length === 'string') return dimQuotient(length, count) ?? unknownDim();
    const chunk = Math.ceil(length / count);
    return at < count - 1 ? chunk : length - chunk * (count - 1);
  });
  if (
    Array.isArray(given) &&
    typeof length === 'number' &&
    given.reduce((a: number, b: number) => a + b, 0) !== length
  ) {
    throw problem(context, `sizes [${given.join(', ')}] do not add up to ${length}`);
  }
  return sizes.map((size) => ({ dtype: x.dtype, shape: x.shape.map((dim, at) => (at === axis ? size : dim)) }));
};

interface SliceRange {
  readonly axis: number;
  readonly start: Dim;
  readonly end: Dim;
  readonly step: number;
}

function sliceRanges(context: InferContext, rank: number): readonly SliceRange[] | undefined {
  const { attributes } = context;
  const old = attributes.ints('starts');
  const vector = (at: number, name: string): readonly Dim[] | undefined => {
    if (old) return attributes.ints(name);
    const value = context.inputs[at];
    return value ? context.dims(value) : undefined;
  };
  const starts = vector(1, 'starts');
  const ends = vector(2, 'ends');
  const axes = vector(3, 'axes') ?? (context.inputs[3] ? undefined : starts?.map((_, at) => at));
  const steps = vector(4, 'steps') ?? (context.inputs[4] ? undefined : starts?.map(() => 1));
  if (!starts || !ends || !axes || !steps) return undefined;
  return starts.map((start, at) => ({
    axis: axisOf(context, Number(axes[at]), rank),
    start,
    end: ends[at]!,
    step: Number(steps[at]),
  }));
}

/**
 * First element and number of elements that a slice takes of an axis of `length`. Unlike in numpy, a start in front of the
 * axis takes its first element even when stepping backwards.
 */
export function sliceExtent(
  length: number,
  start: number,
  end: number,
  step: number,
): { first: number; count: number } {
  if (length === 0) return { first: 0, count: 0 };
  const from = start < 0 ? start + length : start;
  const to = end < 0 ? end + length : end;
  const isForward = step > 0;
  const first = clamp(from, 0, isForward ? length : length - 1);
  const last = clamp(to, isForward ? 0 : -1, isForward ? length : length - 1);
  return { first, count: Math.max(0, Math.ceil((last - first) / step)) };
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}

const slice: InferRule = (context) => {
  const x = required(context, 0);
  const ranges = sliceRanges(context, x.shape.length);
  if (!ranges) {
    // Which axes are cut is known at run time only.
    const axes = numbersOf(context, 3);
    const cut = Array.isArray(axes) ? axes.map((axis: number) => axisOf(context, axis, x.shape.length)) : undefined;
    return [{ dtype: x.dtype, shape: x.shape.map((dim, axis) => (cut && !cut.includes(axis) ? dim : unknownDim())) }];
  }
  const shape = [...x.shape];
  let dims = x.shape.length === 1 ? context.dims(x) : undefined;
  for (const { axis, start, end, step } of ranges) {
    if (step === 0) throw problem(context, 'a step is 0');
    const length = shape[axis]!;
    if (typeof start === 'number' && typeof end === 'number' && typeof length === 'number') {
      const { first, count } = sliceExtent(length, start, end, step);
      shape[axis] = count;
      dims = dims && Array.from({ length: count }, (_, at) => dims![first + at * step]!);
    } else {
      shape[axis] =
        step === 1 && start === 0 && isWhole(end, length)
          ? length
          : step === 1 && start === 0 && typeof end === 'string' && !end.startsWith('-')
            ? end
            : unknownDim();
      dims = undefined;
    }
  }
  return [{ dtype: x.dtype, shape, dims }];
};

/** Ends at or beyond the axis: exporters write the largest int64 or int32. */
function isWhole(end: Dim, length: Dim): boolean {
  return end === length || (typeof end === 'number' && end >= 2 ** 31 - 1);
}

const expand: InferRule = (context) => {
  const x = required(context, 0);
  return [{ dtype: x.dtype, shape: broadcastShapes([x.shape, sizesOf(context, 1)], context.where) }];
};

const tile: InferRule = (context) => {
  const x = required(context, 0);
  const repeats = sizesOf(context, 1);
  if (repeats.length !== x.shape.length)
    throw problem(context, `repeats has ${repeats.length} numbers, expected ${x.shape.length}`);
  return [{ dtype: x.dtype, shape: x.shape.map((dim, axis) => dimProduct([dim, repeats[axis]!])) }];
};

const squeeze: InferRule = (context) => {
  const x = required(context, 0);
  const given = context.attributes.ints('axes') ?? numbersOf(context, 1);
  if (given === 'unknown')
    throw problem(context, 'the rank of the result is not known: axes are known at run time only');
  if (!given && x.shape.some((dim) => typeof dim === 'string'))
    throw problem(context, `axes must be given: a size of ${formatShape(x.shape)} may be 1 at run time`);
  const axes = given
    ? given.map((axis) => axisOf(context, axis, x.shape.length))
    : x.shape.flatMap((dim, axis) => (dim === 1 ? [axis] : []));
  for (const axis of axes) {
    const dim = x.shape[axis]!;
    if (typeof dim === 'number' && dim !== 1) throw problem(context, `axis ${axis} has size ${dim}, expected 1`);
  }
  return [{ dtype: x.dtype, shape: x.shape.filter((_, axis) => !axes.includes(axis)), dims: context.dims(x) }];
};

const unsqueeze: InferRule = (context) => {
  const x = required(context, 0);
  const given = context.attributes.ints('axes') ?? numbersOf(context, 1);
  if (!Array.isArray(given))
    throw problem(context, 'the rank of the result is not known: axes are known at run time only');
  const rank = x.shape.length + given.length;
  const axes = given.map((axis: number) => axisOf(context, axis, rank));
  const shape: Dim[] = [];
  let next = 0;
  for (let axis = 0; axis < rank; axis += 1) {
    if (axes.includes(axis)) shape.push(1);
    else {
      shape.push(x.shape[next]!);
      next += 1;
    }
  }
  return [{ dtype: x.dtype, shape, dims: shape.length === 1 ? context.dims(x) : undefined }];
};

const pad: InferRule = (context) => {
  const x = required(context, 0);
  const rank = x.shape.length;
  const pads = context.attributes.ints('pads') ?? numbersOf(context, 1);
  const axes = numbersOf(context, 3);
  if (!Array.isArray(pads) || axes === 'unknown') return [{ dtype: x.dtype, shape: x.shape.map(unknownDim) }];
  const padded = axes?.map((axis) => axisOf(context, axis, rank)) ?? x.shape.map((_, axis) => axis);
  if (pads.length !== 2 * padded.length)
    throw problem(context, `pads has ${pads.length} numbers, expected ${2 * padded.length}`);
  const shape = [...x.shape];
  padded.forEach((axis, at) => {
    const total: number = (pads[at] as number) + (pads[at + padded.length] as number);
    const dim = shape[axis]!;
    shape[axis] = total === 0 ? dim : typeof dim === 'number' ? dim + total : unknownDim();
    if (typeof dim === 'number' && dim + total < 0) throw problem(context, `cuts more than there is of axis ${axis}`);
  });
  return [{ dtype: x.dtype, shape: shape satisfies Shape }];
};

const depthToSpace: InferRule = (context) => {
  const x = rankOf(context, 0, 4);
  const block = context.attributes.int('blocksize', 1);
  const [n, c, h, w] = x.shape;
  const channels = dimQuotient(c!, block * block) ?? unknownDim();
  return [{ dtype: x.dtype, shape: [n!, channels, dimProduct([h!, block]), dimProduct([w!, block])] }];
};

const spaceToDepth: InferRule = (context): readonly Inferred[] => {
  const x = rankOf(context, 0, 4);
  const block = context.attributes.int('blocksize', 1);
  const [n, c, h, w] = x.shape;
  const shrink = (dim: Dim): Dim => dimQuotient(dim, block) ?? unknownDim();
  return [{ dtype: x.dtype, shape: [n!, dimProduct([c!, block * block]), shrink(h!), shrink(w!)] }];
};

export const movementRules: Readonly<Record<string, InferRule>> = {
  Transpose: transpose,
  Reshape: reshape,
  Flatten: flatten,
  Concat: concat,
  Split: split,
  Slice: slice,
  Expand: expand,
  Tile: tile,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Pad: pad,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
};
