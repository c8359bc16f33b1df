/**
 * @file Group normalisation as the operators that runtimes are good at. onnxruntime has no kernel for it on the CPU: it
 * inserts ONNX's reference function, which subtracts the mean of squares (losing digits where the mean is large) and makes
 * loading a graph with many of them slow. Done after differentiation, whose closed form wants the operator whole; what
 * both passes compute then is the same nodes, which `optimise` shares.
 */
import type { GraphBuilder } from '../onnx/builder.ts';
import { AttributeReader } from '../onnx/graph.ts';
import type { Graph, Node, Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { besideNode, rewrite } from '../onnx/passes/rewrite.ts';
import { affine, givesStatistics, groupNormOf, standardise, standardiseWithVariance } from './standardise.ts';

/** What group normalisations become: kernels of other normalisations (`standardise.ts`), or sums and products alone. */
export type NormForm = 'kernels' | 'sums';

/** The graph with every float32 GroupNormalization over a known number of channels taken apart. */
export function lowerGroupNorms(graph: Graph, form: NormForm = 'sums'): Graph {
  const hasStatistics = graph.nodes.some(givesStatistics);
  return rewrite(
    graph,
    (node, { b }) => {
      const [x] = node.inputs;
      if (node.op !== 'GroupNormalization' || x?.dtype !== 'float32') return undefined;
      const channels = x.shape[1];
      if (typeof channels !== 'number') return undefined;
      return [
        besideNode(
          b,
          node,
          () => (form === 'kernels' && byKernels(b, node, hasStatistics)) || bySums(b, node, channels),
        ),
      ];
    },
    { operators: new Set(['GroupNormalization']) },
  );
}

/** Undefined where sizes besides the batch are not known. */
function byKernels(b: GraphBuilder, node: Node, hasStatistics: boolean): Value | undefined {
  const norm = groupNormOf(node);
  if (!norm) return undefined;
  const xhat = hasStatistics ? standardiseWithVariance(b, norm).xhat : standardise(b, norm);
  return affine(b, op.reshape(b, xhat, norm.x.shape), norm.scale, norm.bias);
}

/** (x - mean) r gamma + beta, as [N, groups, channels of a group, pixels]; r = 1 / sqrt(variance + epsilon). */
function bySums(b: GraphBuilder, node: Node, channels: number): Value {
  const [x, scale, bias] = node.inputs as readonly [Value, Value, Value];
  const attributes = new AttributeReader(node.attributes, `node ${node.name}`);
  const groups = attributes.int('num_groups', 1);
  const perGroup = channels / groups;
  const mean = (value: Value): Value => op.reduceMean(b, value, { axes: [2, 3] });

  const apart = b.node('Reshape', [x, b.int64([0, groups, perGroup, -1])])[0]!;
  const centred = op.sub(b, apart, mean(apart));
  const variance = mean(op.mul(b, centred, centred));
  const r = op.reciprocal(b, op.sqrt(b, op.addScalar(b, variance, attributes.float('epsilon', 1e-5))));
  const slope = op.mul(b, r, op.reshape(b, scale, [groups, perGroup, 1]));
  const y = op.add(b, op.mul(b, centred, slope), op.reshape(b, bias, [groups, perGroup, 1]));
  return op.reshape(b, y, x.shape);
}
