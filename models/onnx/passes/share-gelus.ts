/**
 * @file gelu(x) = x Phi(x), and its derivative Phi(x) + x phi(x) needs Phi again. Where a graph has both, gelu is taken
 * apart so that the error function, its dearest part, is computed once.
 */
import type { GraphBuilder } from '../builder.ts';
import type { Graph, Node, Value } from '../graph.ts';
import { AttributeReader, producers } from '../graph.ts';
import * as op from '../ops.ts';
import { besideNode, rewrite } from './rewrite.ts';

const HALVES = { alpha: 0.5, beta: 0.5 };

/** Phi(sqrt 2 s) = (1 + erf s) / 2. A hard sigmoid is the only operator that multiplies and adds numbers in one pass. */
export function normalDistribution(b: GraphBuilder, s: Value): Value {
  return op.hardSigmoid(b, op.erf(b, s), HALVES);
}

/** The graph with x Phi(x) instead of Gelu(x) wherever Phi(x) is there, in the form of `normalDistribution`. */
export function shareGelus(graph: Graph): Graph {
  const shared = new Set(distributed(graph));
  const names = new Set(
    graph.nodes.filter((node) => isExact(node) && shared.has(node.inputs[0]!)).map(({ name }) => name),
  );
  if (names.size === 0) return graph;
  return rewrite(
    graph,
    (node, { b }) => {
      if (!names.has(node.name)) return undefined;
      const x = node.inputs[0]!;
      return [besideNode(b, node, () => op.mul(b, x, normalDistribution(b, op.mulScalar(b, x, Math.SQRT1_2))))];
    },
    { operators: new Set(['Gelu']) },
  );
}

function isExact(node: Node): boolean {
  return node.op === 'Gelu' && new AttributeReader(node.attributes, node.name).string('approximate', 'none') === 'none';
}

/** Every x of which the graph computes Phi(x). */
function distributed({ nodes, initializers }: Graph): Value[] {
  const sigmoids = nodes.filter(({ op }) => op === 'HardSigmoid');
  if (sigmoids.length === 0) return [];
  const makers = producers(nodes);
  const constants = new Map(initializers.map(({ value, data }) => [value, data]));
  const isRoot = (value: Value | undefined): boolean => {
    const data = value && constants.get(value);
    return data?.shape.length === 0 && Math.abs(Number(data.data[0]) - Math.SQRT1_2) < 1e-3;
  };
  return sigmoids.flatMap((node) => {
    const attributes = new AttributeReader(node.attributes, node.name);
    if (attributes.float('alpha', 0.2) !== HALVES.alpha || attributes.float('beta', 0.5) !== HALVES.beta) return [];
    const erf = makers.get(node.inputs[0]!);
    const product = erf?.op === 'Erf' ? makers.get(erf.inputs[0]!) : undefined;
    if (product?.op !== 'Mul') return [];
    const [x, y] = [product.inputs[0]!, product.inputs[1]!];
    if (isRoot(y)) return [x];
    return isRoot(x) ? [y] : [];
  });
}
