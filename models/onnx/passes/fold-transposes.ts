/**
 * @file Folds transposes into each other and into products. A product with a transposed matrix becomes a Gemm, which reads
 * the matrix as it lies: onnxruntime would otherwise transpose weights at load into a second copy (measured for a linear
 * layer: same time per run, half the time to load). Products of batches stay: there onnxruntime fuses a swap of the last
 * two axes by itself.
 */
import type { GraphBuilder } from '../builder.ts';
import { isFloat } from '../dtype.ts';
import type { Graph, Node, Value } from '../graph.ts';
import { AttributeReader } from '../graph.ts';
import * as op from '../ops.ts';
import { isIdentity, isMatrixSwap, permutationOf } from './permutation.ts';
import { besideNode, rewrite } from './rewrite.ts';
import type { Rewriting } from './rewrite.ts';

const OPERATORS = new Set(['Transpose', 'MatMul', 'Gemm']);

export function foldTransposes(graph: Graph): Graph {
  return rewrite(graph, (node, rewriting) => besideNode(rewriting.b, node, () => fold(node, rewriting)), {
    operators: OPERATORS,
  });
}

function fold(node: Node, rewriting: Rewriting): Value[] | undefined {
  if (node.op === 'Transpose') return foldTranspose(node, rewriting);
  if (node.op === 'MatMul') return foldMatMul(node, rewriting);
  if (node.op === 'Gemm') return foldGemm(node, rewriting);
  return undefined;
}

/** Transpose of a transpose, of a product with transposed factors, and one that moves nothing but axes of size 1. */
function foldTranspose(node: Node, rewriting: Rewriting): Value[] | undefined {
  const { b } = rewriting;
  const x = node.inputs[0]!;
  const perm = permutationOf(node);
  if (isIdentity(perm)) return [x];
  const inner = rewriting.maker(x);
  if (inner?.op === 'Transpose') {
    const innerPerm = permutationOf(inner);
    const composed = perm.map((axis) => innerPerm[axis]!);
    if (isIdentity(composed)) return [inner.inputs[0]!];
    // A swap of the last axes stands before a product, which takes it in; the inner one, if others need it, is there anyway.
    if (rewriting.readers(x) === 1 && !isMatrixSwap(perm)) return [op.transpose(b, inner.inputs[0]!, composed)];
  }
  if (inner?.op === 'MatMul' && isMatrixSwap(perm) && rewriting.readers(x) === 1) {
    const swapped = transposedProduct(inner, rewriting);
    if (swapped) return [swapped];
  }
  const isOnlyRelabelled = isIdentity(perm.filter((axis) => x.shape[axis] !== 1).map(rankAmong));
  if (isOnlyRelabelled && !isMatrixSwap(perm) && x.shape.filter((dim) => typeof dim === 'string').length <= 1) {
    return [
      op.reshape(
        b,
        x,
        perm.map((axis) => x.shape[axis]!),
      ),
    ];
  }
  return undefined;
}

/** (A B)' = B' A', where a factor is a transpose already and vanishes. */
function transposedProduct(product: Node, rewriting: Rewriting): Value | undefined {
  const { b } = rewriting;
  const [x, y] = [product.inputs[0]!, product.inputs[1]!];
  if (x.shape.length !== y.shape.length || x.shape.length < 2) return undefined;
  const [xt, yt] = [untransposed(x, rewriting), untransposed(y, rewriting)];
  if (!xt && !yt) return undefined;
  return op.matMul(b, yt ?? op.transposeMatrix(b, y), xt ?? op.transposeMatrix(b, x));
}

function foldMatMul(node: Node, rewriting: Rewriting): Value[] | undefined {
  const { b } = rewriting;
  const [x, y] = [node.inputs[0]!, node.inputs[1]!];
  if (!isFloat(x.dtype) || x.dtype === 'bfloat16' || y.shape.length !== 2) return undefined;
  const [xt, yt] = [untransposed(x, rewriting), untransposed(y, rewriting)];
  if (x.shape.length === 2) {
    if (!xt && !yt) return undefined;
    return [op.gemm(b, xt ?? x, yt ?? y, undefined, { transA: xt !== undefined, transB: yt !== undefined })];
  }
  const [inner, columns] = y.shape;
  const rows = x.shape.slice(0, -1);
  // One size that is not known can be written as -1, in front of the product and behind it.
  const isReshapable = rows.filter((dim) => typeof dim === 'string').length <= 1 && !rows.includes(0);
  if (!yt || x.shape.length < 3 || typeof inner !== 'number' || typeof columns !== 'number') return undefined;
  if (!isReshapable || inner === 0 || columns === 0) return undefined;
  const flat = reshapeTo(b, x, [-1, inner]);
  const product = op.gemm(b, flat, yt, undefined, { transB: true });
  return [reshapeTo(b, product, [...rows.map((dim) => (typeof dim === 'number' ? dim : -1)), columns])];
}

/** Transposed factors of a Gemm turn its flags. */
function foldGemm(node: Node, rewriting: Rewriting): Value[] | undefined {
  const { b } = rewriting;
  const [x, y, c] = node.inputs;
  const [xt, yt] = [untransposed(x!, rewriting), untransposed(y!, rewriting)];
  if (!xt && !yt) return undefined;
  const attributes = new AttributeReader(node.attributes, node.name);
  const isTransposed = (name: string): boolean => attributes.int(name, 0) !== 0;
  return [
    op.gemm(b, xt ?? x!, yt ?? y!, c, {
      alpha: attributes.float('alpha', 1),
      beta: attributes.float('beta', 1),
      transA: isTransposed('transA') !== (xt !== undefined),
      transB: isTransposed('transB') !== (yt !== undefined),
    }),
  ];
}

/** What a swap of the last two axes was made from. */
function untransposed(value: Value, rewriting: Rewriting): Value | undefined {
  const node = rewriting.maker(value);
  return node?.op === 'Transpose' && isMatrixSwap(permutationOf(node)) ? node.inputs[0] : undefined;
}

/** Position of an axis among others, in ascending order. */
function rankAmong(axis: number, _at: number, all: readonly number[]): number {
  return all.filter((other) => other < axis).length;
}

function reshapeTo(b: GraphBuilder, x: Value, sizes: readonly number[]): Value {
  return b.node('Reshape', [x, b.int64(sizes)])[0]!;
}
