/**
 * @file Builds and runs a few nodes: what a layer computes on given tensors.
 */
import { GraphBuilder } from '../../models/onnx/builder.ts';
import type { Tensor } from '../../models/onnx/dtype.ts';
import { float32 } from '../../models/onnx/dtype.ts';
import type { Value } from '../../models/onnx/graph.ts';
import type { Shape } from '../../models/onnx/shapes.ts';
import { runGraph } from './run-graph.ts';

/** The leading axis of every input is symbolic, as in the graphs of a search. */
export async function evaluate(
  inputs: Readonly<Record<string, Tensor>>,
  append: (b: GraphBuilder, values: Readonly<Record<string, Value>>) => Value,
): Promise<Tensor> {
  const b = new GraphBuilder('evaluate');
  const values = Object.entries(inputs).map(([name, { dtype, shape }]): [string, Value] => {
    const open: Shape = shape.length === 0 ? [] : [`B${shape[0]!}`, ...shape.slice(1)];
    return [name, b.input(name, dtype, open)];
  });
  b.output('result', append(b, Object.fromEntries(values)));
  const { result } = await runGraph(b.build(), inputs);
  return result!;
}

/** Reproducible numbers in -1..1 (a multiplicative generator is good enough to tell elements apart). */
export function noise(shape: readonly number[], seed = 1): Tensor {
  let state = (seed * 7919 + 17) % 2_147_483_647;
  const count = shape.reduce((product, size) => product * size, 1);
  const values = Array.from({ length: count }, () => {
    state = (state * 48_271) % 2_147_483_647;
    return (2 * state) / 2_147_483_647 - 1;
  });
  return float32(values, shape);
}
