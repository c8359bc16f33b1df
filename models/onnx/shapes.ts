/**
 * @file Dimensions that are known, symbolic or unknown. A dimension is a whole number or a string: a product of a whole
 * number and symbols in one canonical spelling ("B", "3*B", "2*B*T"), so that equality is equality of strings. A
 * dimension that is only known at run time is a symbol of its own ("?7"), equal to nothing but itself.
 */
import { RefereeError } from '../../errors.ts';

export type Dim = number | string;
/** The rank is always known. */
export type Shape = readonly Dim[];

interface Monomial {
  readonly factor: number;
  readonly symbols: readonly string[];
}

function toMonomial(dim: Dim): Monomial {
  if (typeof dim === 'number') return { factor: dim, symbols: [] };
  const parts = dim.split('*');
  const first = Number(parts[0]);
  return Number.isInteger(first) ? { factor: first, symbols: parts.slice(1) } : { factor: 1, symbols: parts };
}

function toDim({ factor, symbols }: Monomial): Dim {
  if (factor === 0 || symbols.length === 0) return factor;
  const sorted = [...symbols].sort().join('*');
  return factor === 1 ? sorted : `${factor}*${sorted}`;
}

/** A product of more symbols is no size of a tensor: a few nodes that multiply with themselves would never end. */
const MOST_SYMBOLS = 64;

/** Product of dimensions; of none: 1. */
export function dimProduct(dims: readonly Dim[]): Dim {
  let factor = 1;
  const symbols: string[] = [];
  for (const dim of dims) {
    const m = toMonomial(dim);
    factor *= m.factor;
    symbols.push(...m.symbols);
    if (symbols.length > MOST_SYMBOLS) return unknownDim();
  }
  return toDim({ factor, symbols });
}

/** The whole number in a dimension: 1028 of "1028*B". */
export function dimFactor(dim: Dim): number {
  return toMonomial(dim).factor;
}

/** a / b where that is exact whatever the symbols stand for, else undefined. */
export function dimQuotient(a: Dim, b: Dim): Dim | undefined {
  const numerator = toMonomial(a);
  const denominator = toMonomial(b);
  if (denominator.factor === 0 || numerator.factor % denominator.factor !== 0) return undefined;
  const symbols = [...numerator.symbols];
  for (const symbol of denominator.symbols) {
    const at = symbols.indexOf(symbol);
    if (at < 0) return undefined;
    symbols.splice(at, 1);
  }
  return toDim({ factor: numerator.factor / denominator.factor, symbols });
}

/** a + b where it can be written as one product ("B" + "2*B" = "3*B"), else undefined. */
export function dimSum(a: Dim, b: Dim): Dim | undefined {
  if (a === 0) return b;
  if (b === 0) return a;
  const left = toMonomial(a);
  const right = toMonomial(b);
  if (toDim({ factor: 1, symbols: left.symbols }) !== toDim({ factor: 1, symbols: right.symbols })) return undefined;
  return toDim({ factor: left.factor + right.factor, symbols: left.symbols });
}

/** What exporters write for a size of which they know nothing; two of these say nothing of each other. */
const NAMELESS = new Set(['', '?', '*', '-1', 'None', 'unk']);

/** Whether a dimension of a file has a name, which stands for one size wherever it is written. */
export function isNamed(name: string): boolean {
  return !NAMELESS.has(name.trim());
}

/** Longer names are no names. */
const MOST_LETTERS = 200;

/** The dimension that a file calls so: a symbol or a product of some; undefined for a text that cannot name one. */
export function symbolFrom(name: string): Dim | undefined {
  if (name.length > MOST_LETTERS) return undefined;
  if (/^[^\d\s*?-][^*?]*$/.test(name)) return name;
  return /^\d+(\*[^\d\s*?-][^*?]*)+$|^[^\d\s*?-][^*?]*(\*[^\d\s*?-][^*?]*)+$/.test(name) && !/^0+\*/.test(name)
    ? dimProduct(name.split('*'))
    : undefined;
}

let unknownDims = 0;

/** A dimension about which nothing is known before run time. */
export function unknownDim(): Dim {
  unknownDims += 1;
  return `?${unknownDims}`;
}

export function isUnknown(dim: Dim): boolean {
  return typeof dim === 'string' && dim.includes('?');
}

export function isStatic(shape: Shape): shape is readonly number[] {
  return shape.every((dim) => typeof dim === 'number');
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis]);
}

/** Counts from the end if negative; an axis outside the rank is an error that names `where`. */
export function normalAxis(axis: number, rank: number, where: string): number {
  const normal = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || normal < 0 || normal >= Math.max(rank, 1)) {
    throw new RefereeError('InvalidModel', `${where}: axis ${axis} is outside a tensor of rank ${rank}`);
  }
  return normal;
}

/** Shape of numpy broadcasting; sizes that cannot match are an error that names `where`. */
export function broadcastShapes(shapes: readonly Shape[], where: string): Shape {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const out: Dim[] = [];
  for (let axis = 0; axis < rank; axis += 1) {
    let dim: Dim = 1;
    for (const shape of shapes) {
      const at = axis - (rank - shape.length);
      if (at >= 0)
        dim = broadcastDims(dim, shape[at]!, () => `${where}: shapes ${shapes.map(formatShape).join(' and ')}`);
    }
    out.push(dim);
  }
  return out;
}

function broadcastDims(a: Dim, b: Dim, where: () => string): Dim {
  if (a === b || b === 1) return a;
  if (a === 1) return b;
  if (typeof a === 'number' && typeof b === 'number') {
    throw new RefereeError('InvalidModel', `${where()} cannot be broadcast: ${a} against ${b}`);
  }
  // A number above one decides; two different symbols may be equal or one of them 1: known at run time only.
  if (typeof a === 'number') return a;
  if (typeof b === 'number') return b;
  return unknownDim();
}

/** "[B, 4, 16, 16]" */
export function formatShape(shape: Shape): string {
  return `[${shape.map((dim) => (isUnknown(dim) ? '?' : String(dim))).join(', ')}]`;
}
