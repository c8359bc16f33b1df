/**
 * @file The adjoint of a group normalisation for runtimes with a fast batch normalisation. With h = gamma y' and xhat over a
 * group of m elements, x' = r (h - (mean(h) + xhat mean(xhat h))): one sum, one product of rows, one scale and shift.
 */
import type { GraphBuilder } from '../onnx/builder.ts';
import type { Node, Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { sameShape } from '../onnx/shapes.ts';
import type { OwnAdjoint } from './own-adjoint.ts';
import { affine, divideByDeviation, groupNormOf, standardiseWithVariance } from './standardise.ts';

/** For every group normalisation of the graph so far that it can be had for; to differentiate by x only. */
export function groupNormAdjoints(b: GraphBuilder): OwnAdjoint[] {
  return b.nodes.flatMap((node) => {
    const norm = groupNormOf(node);
    if (!norm) return [];
    const { x, scale, channels, elements, rows, epsilon } = norm;
    const adjoint = (into: GraphBuilder, cotangent: Value): (() => Value)[] => [
      () => {
        const { xhat, variance } = standardiseWithVariance(into, norm);
        const gamma = op.reshape(into, scale, [channels, ...x.shape.slice(2).map(() => 1)]);
        const h = op.reshape(into, scaledByChannel(into, cotangent, gamma), [1, rows, elements]);
        const asRows = (value: Value): Value => op.reshape(into, value, [rows, 1, elements]);
        const mean = op.reduceMean(into, h, { axes: [0, 2], keepdims: false });
        // A factor in the product would take it off onnxruntime's quick way for rows: the scale is divided instead.
        const products = op.matMul(into, asRows(h), op.transposeMatrix(into, asRows(xhat)));
        const rest = op.sub(into, h, affine(into, xhat, op.reshape(into, products, [rows]), mean, elements));
        return op.reshape(into, divideByDeviation(into, rest, variance, epsilon), x.shape);
      },
    ];
    return [{ node, adjoint }];
  });
}

/**
 * g gamma. Where g is a product with what a convolution gave (behind an activation it is), the convolution's result is
 * scaled: runtimes take a factor per channel into the kernel, and a pass over the image is saved.
 */
function scaledByChannel(b: GraphBuilder, g: Value, gamma: Value): Value {
  const maker = madeBy(b, g);
  const [first, slope] = maker?.op === 'Mul' ? maker.inputs : [];
  const isOfConv = first && sameShape(first.shape, g.shape) && madeBy(b, first)?.op === 'Conv';
  if (!isOfConv || !slope) return op.mul(b, g, gamma);
  return op.mul(b, op.mul(b, first, gamma), slope);
}

function madeBy(b: GraphBuilder, value: Value): Node | undefined {
  return b.nodes.findLast(({ outputs }) => outputs.includes(value));
}
