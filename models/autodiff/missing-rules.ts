/**
 * @file Which nodes of a graph stand in the way of a gradient: all of them at once, where `vjp` stops at the first.
 */
import type { RefereeError } from '../../errors.ts';
import { isFloat } from '../onnx/dtype.ts';
import type { Graph, Node } from '../onnx/graph.ts';
import { gradientGraph } from './gradient-graph.ts';
import { ruleOf } from './registry.ts';

export interface MissingRule {
  readonly node: string;
  readonly operator: string;
  /** One line: the operator has no rule at all, or none for this input or these attributes. */
  readonly reason: string;
}

export interface MissingRulesOptions {
  /** Outputs to differentiate; default: all that are real numbers. */
  readonly of?: readonly string[];
  /** Inputs or initializers to differentiate by; default: all inputs that are real numbers. */
  readonly wrt?: readonly string[];
  /** As for `vjp`. */
  readonly straightThrough?: boolean;
}

/** Nodes between `wrt` and `of` without a rule, in the order of the graph. An empty list: the gradient can be built. */
export function missingRules(graph: Graph, options: MissingRulesOptions = {}): MissingRule[] {
  const reals = (values: Graph['inputs']): string[] =>
    values.filter(({ dtype }) => isFloat(dtype)).map(({ name }) => name);
  const { of = reals(graph.outputs), wrt = reals(graph.inputs), straightThrough = false } = options;
  const found = new Map<Node, string>();
  const whenMissing = (node: Node, { message }: RefereeError): void => {
    const hasNone = node.domain !== '' || ruleOf(node.op) === undefined;
    found.set(node, hasNone ? `${node.op} has no gradient rule` : message);
  };
  gradientGraph(graph, { of, wrt, straightThrough, whenMissing });
  return graph.nodes.flatMap((node) => {
    const reason = found.get(node);
    return reason === undefined ? [] : [{ node: node.name, operator: node.op, reason }];
  });
}
