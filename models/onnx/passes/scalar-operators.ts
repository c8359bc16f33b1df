/**
 * @file Operators on single elements whose result is defined to the last bit, by operator and element type.
 */
import type { DType } from '../dtype.ts';

type Unary = (x: never) => number | bigint;
/** Undefined where ONNX leaves the result open. */
type Binary = (x: never, y: never) => number | bigint | undefined;
type ByType<T> = Partial<Record<DType, T>>;

function floatUnary(compute: (x: number) => number): ByType<Unary> {
  // Storing into a Float32Array rounds; of the operations here, rounding the double's result is the float's result.
  return { float32: compute, float64: compute };
}

/** Unary operators. */
export const UNARY: ReadonlyMap<string, ByType<Unary>> = new Map<string, ByType<Unary>>([
  ['Neg', { ...floatUnary((x) => -x), int64: (x: bigint) => BigInt.asIntN(64, -x) }],
  ['Abs', { ...floatUnary(Math.abs), int64: (x: bigint) => BigInt.asIntN(64, x < 0n ? -x : x) }],
  ['Sqrt', floatUnary(Math.sqrt)],
  ['Reciprocal', floatUnary((x) => 1 / x)],
  ['Floor', floatUnary(Math.floor)],
  ['Ceil', floatUnary(Math.ceil)],
  ['Not', { bool: (x: number) => Number(x === 0) }],
]);

function arithmetic(
  float: ((x: number, y: number) => number) | undefined,
  whole: (x: bigint, y: bigint) => bigint | undefined,
): ByType<Binary> {
  const int64 = (x: bigint, y: bigint): bigint | undefined => {
    const result = whole(x, y);
    return result === undefined ? undefined : BigInt.asIntN(64, result);
  };
  return { ...(float && { float32: float, float64: float }), int64 };
}

/** Smaller or larger of two; NaN is left to the runtime. */
function extreme(choose: (x: number, y: number) => number, isFirst: (x: bigint, y: bigint) => boolean): ByType<Binary> {
  const float = (x: number, y: number): number | undefined =>
    Number.isNaN(x + y) || x === y ? undefined : choose(x, y);
  return { float32: float, float64: float, int64: (x: bigint, y: bigint) => (isFirst(x, y) ? x : y) };
}

function logic(compute: (x: boolean, y: boolean) => boolean): ByType<Binary> {
  return { bool: (x: number, y: number) => Number(compute(x !== 0, y !== 0)) };
}

/** Binary operators whose result has the type of the inputs. */
export const BINARY: ReadonlyMap<string, ByType<Binary>> = new Map<string, ByType<Binary>>([
  [
    'Add',
    arithmetic(
      (x, y) => x + y,
      (x, y) => x + y,
    ),
  ],
  [
    'Sub',
    arithmetic(
      (x, y) => x - y,
      (x, y) => x - y,
    ),
  ],
  [
    'Mul',
    arithmetic(
      (x, y) => x * y,
      (x, y) => x * y,
    ),
  ],
  [
    'Div',
    arithmetic(
      (x, y) => x / y,
      (x, y) => (y === 0n ? undefined : x / y),
    ),
  ],
  ['Min', extreme(Math.min, (x, y) => x < y)],
  ['Max', extreme(Math.max, (x, y) => x > y)],
  ['And', logic((x, y) => x && y)],
  ['Or', logic((x, y) => x || y)],
  ['Xor', logic((x, y) => x !== y)],
]);

function comparison(compare: (x: number | bigint, y: number | bigint) => boolean): ByType<Binary> {
  const one: Binary = (x, y) => Number(compare(x, y));
  return { float32: one, float64: one, int64: one, int32: one, bool: one };
}

/** Binary operators whose result is bool. */
export const COMPARISONS: ReadonlyMap<string, ByType<Binary>> = new Map([
  ['Equal', comparison((x, y) => x === y)],
  ['Greater', comparison((x, y) => x > y)],
  ['GreaterOrEqual', comparison((x, y) => x >= y)],
  ['Less', comparison((x, y) => x < y)],
  ['LessOrEqual', comparison((x, y) => x <= y)],
]);
