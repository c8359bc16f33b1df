/**
 * @file What a composite is: an operator that ONNX defines by others, taken apart into them while a file is read, so that
 * inference, rules and passes need not know it.
 */
import type { GraphBuilder, NamedNode } from '../builder.ts';
import type { AttributeReader, Value } from '../graph.ts';
import { RefereeError } from '../../../errors.ts';
import * as op from '../ops.ts';
import { formatShape } from '../shapes.ts';

export interface CompositeContext {
  /** Everything that the operator is made of is appended to it. */
  readonly b: GraphBuilder;
  readonly node: NamedNode;
  readonly attributes: AttributeReader;
  /** Begins every message: node and operator. */
  readonly where: string;
  /** Input `at`, which the operator cannot do without. */
  readonly required: (at: number) => Value;
  /** Input `at`, or undefined where the node leaves it out. */
  readonly optional: (at: number) => Value | undefined;
  /** Whether anybody asked for output `at`. */
  readonly isAsked: (at: number) => boolean;
}

/** Values of the outputs; one that nobody asked for may be undefined. */
export type Composite = (context: CompositeContext) => readonly (Value | undefined)[];

export type CompositeTable = Readonly<Record<string, Composite>>;

export function problem({ where }: Pick<CompositeContext, 'where'>, message: string): RefereeError {
  return new RefereeError('InvalidModel', `${where}: ${message}`);
}

/** @throws RefereeError unless input `at` has one of these numbers of axes */
export function withRank(context: CompositeContext, at: number, ...ranks: readonly number[]): Value {
  const value = context.required(at);
  if (ranks.includes(value.shape.length)) return value;
  const expected = ranks.join(' or ');
  throw problem(context, `input ${at} has shape ${formatShape(value.shape)}, expected ${expected} axes`);
}

/** A size that the operator cannot be taken apart without. */
export function knownSize(context: CompositeContext, value: Value, axis: number): number {
  const size = value.shape[axis];
  if (typeof size === 'number') return size;
  throw problem(context, `axis ${axis} of ${formatShape(value.shape)} must be known`);
}

/** Longer lists are made at run time: a file of a few bytes may ask for any length. */
const MOST_WRITTEN = 4096;

/** 0, `step`, 2 `step` ... as many as `count`, int64. */
export function sequence(b: GraphBuilder, count: number, step = 1): Value {
  if (count <= MOST_WRITTEN) return b.int64(Array.from({ length: Math.max(0, count) }, (_, at) => at * step));
  return op.range(b, b.scalar(0, 'int64'), b.scalar(count * step, 'int64'), b.scalar(step, 'int64'));
}
