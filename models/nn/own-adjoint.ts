/**
 * @file Adjoints that a layer brings along for some of its nodes, where it knows a better one than the operator's general
 * rule: cheaper, or a sum in a fixed order. Whoever differentiates the graph hands them over as overrides.
 */
import type { GraphBuilder } from '../onnx/builder.ts';
import type { Node, Value } from '../onnx/graph.ts';
import { RefereeError } from '../../errors.ts';

export interface OwnAdjoint {
  readonly node: Node;
  /**
   * From the cotangent of the node's (first) output, one thunk per input that appends the nodes of that input's
   * cotangent; undefined where nothing flows back.
   */
  readonly adjoint: (b: GraphBuilder, cotangent: Value) => readonly ((() => Value) | undefined)[];
}

/** A value together with the adjoints of nodes that led to it. */
export interface WithAdjoints {
  readonly output: Value;
  readonly adjoints: readonly OwnAdjoint[];
}

/** The node that has just made `value`. */
export function lastNode(b: GraphBuilder, value: Value): Node {
  const node = b.nodes.at(-1);
  if (!node?.outputs.includes(value)) {
    throw new RefereeError('Internal', `graph ${b.name}: ${value.name} does not come from the last node`);
  }
  return node;
}
