/**
 * @file Sums over the rows of P * (A V^T) are those of A * (P V): sum_j P_ij (A V^T)_ij = sum_k A_ik (P V)_ik. In the adjoint
 * of attention P are its weights (as many columns as there are keys), A the cotangent of its output P V, which is there
 * already and as narrow as a head (FlashAttention-2's D, Dao 2023, arXiv 2307.08691, section 3.1).
 */
import type { Graph, Node, Value } from '../graph.ts';
import { AttributeReader } from '../graph.ts';
import type { GraphBuilder } from '../builder.ts';
import * as op from '../ops.ts';
import { sameShape } from '../shapes.ts';
import { isMatrixSwap, permutationOf } from './permutation.ts';
import { besideNode, rewrite, type Rewriting } from './rewrite.ts';

const OPERATORS = new Set(['MatMul', 'ReduceSum']);

export function narrowRowProducts(graph: Graph): Graph {
  /** P -> the products P V that the graph has, by V. */
  const products = new Map<Value, Map<Value, Value>>();
  return rewrite(
    graph,
    (node, rewriting) => {
      const { b } = rewriting;
      if (node.op === 'MatMul') {
        const outputs = rewriting.keep(node);
        const [p, v] = [node.inputs[0]!, node.inputs[1]!];
        products.set(p, (products.get(p) ?? new Map<Value, Value>()).set(v, outputs[0]!));
        return outputs;
      }
      const factors =
        node.op === 'ReduceSum' && sumsRows(node, b) ? narrowFactors(node, rewriting, products) : undefined;
      return factors && [besideNode(b, node, () => op.reduceSum(b, op.mul(b, ...factors), { axes: [-1] }))];
    },
    { operators: OPERATORS },
  );
}

/** Over the last axis, which stays with size 1. */
function sumsRows(node: Node, b: GraphBuilder): boolean {
  const axes = node.inputs[1] && b.dimsOf(node.inputs[1]);
  const rank = node.inputs[0]!.shape.length;
  const keeps = new AttributeReader(node.attributes, node.name).int('keepdims', 1) === 1;
  return keeps && axes?.length === 1 && (axes[0] === -1 || axes[0] === rank - 1);
}

/** A and P V of a sum over P * (A V^T), where they are narrower. */
function narrowFactors(
  sum: Node,
  rewriting: Rewriting,
  products: ReadonlyMap<Value, ReadonlyMap<Value, Value>>,
): readonly [Value, Value] | undefined {
  const product = rewriting.maker(sum.inputs[0]!);
  if (product?.op !== 'Mul' || rewriting.readers(product.outputs[0]!) !== 1) return undefined;
  const [left, right] = [product.inputs[0]!, product.inputs[1]!];
  for (const [p, wide] of [
    [left, right],
    [right, left],
  ] as const) {
    const made = rewriting.maker(wide);
    const turned = made?.op === 'MatMul' ? rewriting.maker(made.inputs[1]!) : undefined;
    if (!made || turned?.op !== 'Transpose' || !isMatrixSwap(permutationOf(turned))) continue;
    const a = made.inputs[0]!;
    const narrow = products.get(p)?.get(turned.inputs[0]!);
    const [columns, fewer] = [p.shape.at(-1), a.shape.at(-1)];
    const isNarrower = typeof columns === 'number' && typeof fewer === 'number' && fewer < columns;
    if (narrow && isNarrower && sameShape(p.shape, wide.shape) && sameShape(a.shape, narrow.shape)) return [a, narrow];
  }
  return undefined;
}
