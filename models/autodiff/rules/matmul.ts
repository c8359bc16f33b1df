/**
 * @file Matrix products: Y = A B, A' = Y' B^T, B' = A^T Y'. A plain matrix B is a weight: Gemm reads it transposed where it
 * lies (a Transpose of a constant would be stored as a copy), and its own cotangent is one product over all rows.
 * Products of batches transpose by a node that onnxruntime fuses into the product.
 */
import type { GraphBuilder } from '../../onnx/builder.ts';
import type { Value } from '../../onnx/graph.ts';
import * as op from '../../onnx/ops.ts';
import { unbroadcast } from '../broadcast.ts';
import type { Rule, RuleContext, RuleTable } from '../rule.ts';
import { lazy } from '../rule.ts';
import { asMatrix, reshapeLike } from '../sizes.ts';

/** The transpose of a matrix (or of a batch), or what it was the transpose of. */
function transposed({ producerOf }: RuleContext, b: GraphBuilder, x: Value): Value {
  return transposeSource(producerOf, x) ?? op.transposeMatrix(b, x);
}

function transposeSource(producerOf: RuleContext['producerOf'], x: Value): Value | undefined {
  const node = producerOf(x);
  if (node?.op !== 'Transpose') return undefined;
  const rank = x.shape.length;
  const perm = node.attributes['perm'];
  const isSwap =
    perm?.type === 'ints'
      ? perm.value.every((from, to) => from === (to === rank - 1 ? rank - 2 : to === rank - 2 ? rank - 1 : to))
      : rank === 2;
  return isSwap ? node.inputs[0] : undefined;
}

const matMul: Rule = (context, b) => {
  const { inputs, g } = context;
  const [a, m] = inputs;
  // A vector on the left is a row, on the right a column.
  const left = lazy(() => (a.shape.length === 1 ? op.unsqueeze(b, a, [0]) : a));
  const right = lazy(() => (m.shape.length === 1 ? op.unsqueeze(b, m, [1]) : m));
  const product = lazy(() => {
    const columns = m.shape.length === 1 ? op.unsqueeze(b, g, [-1]) : g;
    return a.shape.length === 1 ? op.unsqueeze(b, columns, [-2]) : columns;
  });
  const isWeight = m.shape.length === 2 && a.shape.length >= 2;
  return [
    () => {
      if (isWeight) {
        const source = transposeSource(context.producerOf, m);
        const rows = asMatrix(b, g);
        const back = source ? op.gemm(b, rows, source) : op.gemm(b, rows, m, undefined, { transB: true });
        return reshapeLike(b, back, a);
      }
      const whole = unbroadcast(b, op.matMul(b, product(), transposed(context, b, right())), left());
      return reshapeLike(b, whole, a);
    },
    () => {
      if (isWeight) return op.gemm(b, asMatrix(b, a), asMatrix(b, g), undefined, { transA: true });
      const whole = unbroadcast(b, op.matMul(b, transposed(context, b, left()), product()), right());
      return reshapeLike(b, whole, m);
    },
  ];
};

/** alpha A' B' + beta C, where ' stands for an optional transpose. */
const gemm: Rule = ({ inputs: [x, y, c], g, attributes }, b) => {
  const alpha = attributes.float('alpha', 1);
  const beta = attributes.float('beta', 1);
  const transA = attributes.int('transA', 0) === 1;
  const transB = attributes.int('transB', 0) === 1;
  return [
    () =>
      transA
        ? op.gemm(b, y, g, undefined, { alpha, transA: transB, transB: true })
        : op.gemm(b, g, y, undefined, { alpha, transB: !transB }),
    () =>
      transB
        ? op.gemm(b, g, x, undefined, { alpha, transA: true, transB: transA })
        : op.gemm(b, x, g, undefined, { alpha, transA: !transA }),
    () => {
      const sum = unbroadcast(b, g, c);
      return beta === 1 ? sum : op.mulScalar(b, sum, beta);
    },
  ];
};

export const matMulRules: RuleTable = { MatMul: matMul, Gemm: gemm };
