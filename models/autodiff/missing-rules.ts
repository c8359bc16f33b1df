/**
 * @file Which nodes of a graph stand in the way of a gradient: all of them at once, where `vjp` stops at the first.
 */
import { isRefereeError } from '../../errors.ts';
import { isFloat } from '../onnx/dtype.ts';
import type { Graph, Node } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { gradientGraph } from './gradient-graph.ts';
import { NON_DIFFERENTIABLE } from './non-differentiable.ts';
import { ruleOf } from './registry.ts';
import type { Rule } from './rule.ts';

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
  const byName = new Map(graph.nodes.map((node) => [node.name, node]));
  const found = new Map<Node, string>();
  // Zeros, so that the walk goes on to the nodes behind.
  const throughNothing: Rule = ({ node }, b) =>
    node.inputs.map(
      (input) =>
        input &&
        // Quantised numbers stand for real ones.
        (() => op.expandTo(b, b.scalar(0, isFloat(input.dtype) ? input.dtype : 'float32'), op.shape(b, input))),
    );
  // An operator without any rule is noted where the walk meets it, and passed by.
  const noted = (node: Node): Rule => {
    return (context, b) => {
      found.set(node, `${node.op} has no gradient rule`);
      return throughNothing(context, b);
    };
  };
  const overrides = new Map(graph.nodes.filter(hasNoRule).map((node) => [node, noted(node)]));
  for (;;) {
    try {
      gradientGraph(graph, { of, wrt, overrides, straightThrough });
      break;
    } catch (error) {
      // A rule that does not go so far: noted, passed by in the next walk.
      const node = byName.get(nodeOf(error) ?? '');
      if (!node || overrides.has(node)) throw error;
      found.set(node, (error as Error).message);
      overrides.set(node, throughNothing);
    }
  }
  return graph.nodes.flatMap((node) => {
    const reason = found.get(node);
    return reason === undefined ? [] : [{ node: node.name, operator: node.op, reason }];
  });
}

function hasNoRule({ op, domain }: Node): boolean {
  return !NON_DIFFERENTIABLE.has(op) && (domain !== '' || ruleOf(op) === undefined);
}

/** The node that an error of the walk is about; undefined for every other error. */
function nodeOf(error: unknown): string | undefined {
  if (!isRefereeError(error) || error.code !== 'MissingGradientRule') return undefined;
  const { node } = error.details;
  return typeof node === 'string' ? node : undefined;
}
