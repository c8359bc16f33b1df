/**
 * @file Large weights that products of both ways read stay as they lie in the checkpoint. onnxruntime packs every constant
 * operand of a product for that product: a layer with its adjoint has two copies of its weight. An input with a default is
 * no constant: both products read the one that is mapped from the file, and pack a block at a time on the way, which costs
 * little beside many rows. For onnxruntime's CPU provider, on finished graphs.
 */
import { elementCount } from '../onnx/dtype.ts';
import type { Graph } from '../onnx/graph.ts';
import { readersOf } from '../onnx/graph.ts';
import { dimFactor, isStatic } from '../onnx/shapes.ts';

/** Elements of a weight from which on it matters where it lies: 1 MB. */
const LARGE = 2 ** 18;
/**
 * Rows of one lane's product from which on reading a weight is little beside computing with it. Of what is not packed, a
 * single row goes to another kernel, which adds in another order: a lane's bytes would depend on its neighbours.
 */
const MANY_ROWS = 64;

/** The graph with its large weights as inputs that have a default, where every reader is a product of many rows. */
export function leaveWeightsAsTheyLie(graph: Graph, elements = LARGE): Graph {
  const readers = readersOf(graph);
  const left = graph.initializers.flatMap(({ value, external }) => {
    const products = readers.get(value) ?? [];
    const { shape } = value;
    const isLarge = shape.length === 2 && isStatic(shape) && elementCount(shape) >= elements;
    if (!external || !isLarge || products.length === 0) return [];
    const isRead = products.every(
      ({ op, inputs, outputs }) =>
        op === 'Gemm' && inputs[1] === value && dimFactor(outputs[0]!.shape[0]!) >= MANY_ROWS,
    );
    return isRead ? [value] : [];
  });
  return left.length === 0 ? graph : { ...graph, inputs: [...graph.inputs, ...left] };
}
