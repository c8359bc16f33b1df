/**
 * @file Weight names as paths. A scope is a place in a checkpoint ("decoder.mid_block.resnets.0"); layers ask it for
 * their tensors by short names, and the graph's nodes are named after the same path.
 */
import { RefereeError, quoted } from '../../errors.ts';
import type { GraphBuilder } from '../onnx/builder.ts';
import type { DType } from '../onnx/dtype.ts';
import { elementCount, isFloat } from '../onnx/dtype.ts';
import type { ByteRange, Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';

/** Where a tensor lies and what it is; its bytes are not looked at. */
export interface WeightEntry extends ByteRange {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** The tensors of a checkpoint, of one file or many. */
export interface WeightSource {
  /** Begins every message: a file or a folder. */
  readonly label: string;
  readonly tensors: ReadonlyMap<string, WeightEntry>;
}

export interface ScopeOptions {
  /** Prefix of the weights' names in the graph: keeps two models in one graph apart. */
  readonly model?: string;
}

export class Scope {
  readonly source: WeightSource;
  /** Ends with a dot, or is empty. */
  readonly prefix: string;
  readonly #model: string;
  /** weight of another float type -> its float32 form; shared by all scopes of one root. */
  readonly #casts: WeakMap<Value, Value>;

  constructor(
    source: WeightSource,
    { model }: ScopeOptions = {},
    parent?: { readonly at: Scope; readonly name: string },
  ) {
    this.source = source;
    this.prefix = parent ? `${parent.at.prefix}${parent.name}.` : '';
    this.#model = model === undefined ? '' : `${model}/`;
    this.#casts = parent ? parent.at.#casts : new WeakMap();
  }

  /** The place `name` (one step or several, "resnets.0") below this one. */
  child(name: string): Scope {
    const model = this.#model.slice(0, -1);
    return new Scope(this.source, model === '' ? {} : { model }, { at: this, name });
  }

  /** Nodes that `append` adds are named after the place below this one that it is given. */
  enter<T>(b: GraphBuilder, name: string, append: (child: Scope) => T): T {
    return b.scope(name, () => append(this.child(name)));
  }

  /** Whether the tensor `name` exists here. */
  has(name: string): boolean {
    return this.source.tensors.has(this.prefix + name);
  }

  /** Whether any tensor exists below `name`. */
  contains(name: string): boolean {
    const start = `${this.prefix}${name}.`;
    for (const tensor of this.source.tensors.keys()) if (tensor.startsWith(start)) return true;
    return false;
  }

  /** The first of these places that holds tensors; the last one if none does, so that errors name it. */
  firstOf(names: readonly string[]): string {
    return names.find((name) => this.contains(name)) ?? names.at(-1) ?? '';
  }

  /**
   * A weight as a float32 value of the graph. Its shape in the file may have more axes of size 1 at the end (a 1x1
   * convolution is a matrix).
   *
   * @throws RefereeError `InvalidWeights` for a tensor that is missing, of another shape, or not of a float type
   */
  get(b: GraphBuilder, name: string, shape: readonly number[]): Value {
    return this.#value(b, this.prefix + name, this.#entry(name, shape), shape);
  }

  /**
   * The rows `from` up to `from + count` of a weight of this shape: a range of its bytes, so that no split copies what a
   * product of all rows gave.
   */
  getRows(
    b: GraphBuilder,
    name: string,
    shape: readonly number[],
    { from, count }: { readonly from: number; readonly count: number },
  ): Value {
    const entry = this.#entry(name, shape);
    const [rows, ...rest] = shape as [number, ...number[]];
    const bytes = entry.length / rows;
    const part = { ...entry, offset: entry.offset + from * bytes, length: count * bytes };
    return this.#value(b, `${this.prefix}${name}[${from}:${from + count}]`, part, [count, ...rest]);
  }

  #entry(name: string, shape: readonly number[]): WeightEntry {
    const full = this.prefix + name;
    const entry = this.source.tensors.get(full);
    if (!entry) throw this.#problem(full, `is missing, expected shape ${quoted(shape)}`);
    if (!isSameMatrix(entry.shape, shape)) {
      throw this.#problem(full, `has shape ${quoted(entry.shape)}, expected ${quoted(shape)}`);
    }
    if (!isFloat(entry.dtype)) throw this.#problem(full, `is of type ${entry.dtype}, expected a float type`);
    return entry;
  }

  #value(b: GraphBuilder, full: string, entry: WeightEntry, shape: readonly number[]): Value {
    const { file, offset, length } = entry;
    const value = b.weight(this.#model + full, entry.dtype, shape, { file, offset, length });
    if (entry.dtype === 'float32') return value;
    const known = this.#casts.get(value);
    if (known) return known;
    const cast = op.cast(b, value, 'float32');
    this.#casts.set(value, cast);
    return cast;
  }

  /** Shape in the file, without reading it into a graph. */
  shapeOf(name: string): readonly number[] | undefined {
    return this.source.tensors.get(this.prefix + name)?.shape;
  }

  #problem(tensor: string, message: string): RefereeError {
    return new RefereeError('InvalidWeights', `${this.source.label}: tensor ${quoted(tensor)} ${message}`, {
      details: { file: this.source.label, tensor },
    });
  }
}

function isSameMatrix(found: readonly number[], expected: readonly number[]): boolean {
  return (
    found.length >= expected.length &&
    elementCount(found) === elementCount(expected) &&
    expected.every((size, axis) => found[axis] === size)
  );
}
