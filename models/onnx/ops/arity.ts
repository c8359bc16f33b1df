/**
 * @file Functions for operators that have inputs only.
 */
import type { GraphBuilder } from '../builder.ts';
import type { Attributes, Value } from '../graph.ts';

type Unary = (b: GraphBuilder, x: Value) => Value;
type Binary = (b: GraphBuilder, x: Value, y: Value) => Value;

/** A function that appends an operator of one input. */
export const unary =
  (op: string, attributes: Attributes = {}): Unary =>
  (b, x) =>
    b.node(op, [x], attributes)[0]!;
/** A function that appends an operator of two inputs. */
export const binary =
  (op: string): Binary =>
  (b, x, y) =>
    b.node(op, [x, y])[0]!;
