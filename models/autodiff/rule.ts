/**
 * @file What a gradient rule is: given the cotangents of a node's outputs, one thunk per input that appends the nodes of
 * that input's cotangent. Thunks, so that only inputs on a path to a wanted value build anything.
 */
import { RefereeError, quoted } from '../../errors.ts';
import type { GraphBuilder } from '../onnx/builder.ts';
import type { AttributeReader, Node, Value } from '../onnx/graph.ts';

/** Required inputs and outputs exist (inference has checked the node), so rules may take them apart without asking. */
type Values = readonly [Value, Value, Value, Value, Value, ...Value[]];

export interface RuleContext {
  readonly node: Node;
  /** Only for inputs that the operator requires; others are read by `optional`. */
  readonly inputs: Values;
  readonly outputs: Values;
  /** Cotangent of the first output; zeros if only others have one. */
  readonly g: Value;
  /** Cotangent of each output; undefined where it is zero. */
  readonly gradients: readonly (Value | undefined)[];
  readonly attributes: AttributeReader;
  /** Input `at`, or undefined where the node leaves it out. */
  readonly optional: (at: number) => Value | undefined;
  /** Whether the cotangent of input `at` is wanted. */
  readonly needs: (at: number) => boolean;
  /** The node that makes a value; undefined for inputs and constants of the graph, and for nodes with a rule of their own. */
  readonly producerOf: (value: Value) => Node | undefined;
}

/** Appends nodes and returns the cotangent. `undefined` in its place: no gradient flows to that input, it is zero. */
export type Contribution = (() => Value | undefined) | undefined;

/** One contribution per input, in order. An input beyond the list has no rule: asking for it is an error. */
export type Rule = (context: RuleContext, b: GraphBuilder) => readonly Contribution[];

export type RuleTable = Readonly<Record<string, Rule>>;

/** Computes at the first call, and returns that value ever after: what several inputs of a rule share. */
export function lazy<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/** The error of a path that needs a gradient which nobody wrote down. */
export function missingRule(node: Node, at: number, why = ''): RefereeError {
  const input = node.inputs[at]?.name ?? '';
  return new RefereeError(
    'MissingGradientRule',
    `node ${node.name}: ${node.op} has no gradient rule for input ${at} (${quoted(input)})${why && `: ${why}`}`,
    { details: { node: node.name, operator: node.op, input: at } },
  );
}
