/**
 * @file From a graph to the graph that also computes its gradients.
 */
import { quoted, RefereeError } from '../../errors.ts';
import { GraphBuilder } from '../onnx/builder.ts';
import { isFloat } from '../onnx/dtype.ts';
import type { Graph, Value } from '../onnx/graph.ts';
import type { VjpOptions } from './differentiate.ts';
import { vjpOrZeros } from './differentiate.ts';

export interface GradientGraphOptions extends VjpOptions {
  /** Names of outputs that get a cotangent; others count with zero. */
  readonly of: readonly string[];
  /** Names of inputs or weights whose gradients are wanted. */
  readonly wrt: readonly string[];
}

/**
 * The graph with an input `cotangent.<output>` (type and shape of that output) for every name of `of`, and an output
 * `gradient.<name>` for every name of `wrt`: the gradient of sum over outputs of sum(cotangent * output). Inputs, outputs
 * and nodes of `graph` stay.
 */
export function gradientGraph(graph: Graph, { of, wrt, ...options }: GradientGraphOptions): Graph {
  const b = GraphBuilder.from(graph);
  const leaves = new Map(
    [...graph.inputs, ...graph.initializers.map(({ value }) => value)].map((value) => [value.name, value]),
  );
  const outputs = new Map(graph.outputs.map((value) => [value.name, value]));
  const cotangents = of.map((name) => {
    const value = real(named(outputs, name, `graph ${graph.name}: output`), 'output');
    return { value, cotangent: b.input(`cotangent.${name}`, value.dtype, value.shape) };
  });
  const sources = wrt.map((name) => real(named(leaves, name, `graph ${graph.name}: input`), 'input'));
  vjpOrZeros(b, cotangents, sources, options).forEach((gradient, at) => b.output(`gradient.${wrt[at]!}`, gradient));
  const built = b.build();
  return { ...built, opset: graph.opset, outputs: [...graph.outputs, ...built.outputs] };
}

function real(value: Value, what: string): Value {
  if (isFloat(value.dtype)) return value;
  throw new RefereeError(
    'InvalidInput',
    `${what} ${quoted(value.name)} is ${value.dtype}: only real numbers have a gradient`,
  );
}

function named(values: ReadonlyMap<string, Value>, name: string, what: string): Value {
  const value = values.get(name);
  if (value) return value;
  const known = [...values.keys()].slice(0, 8).join(', ');
  throw new RefereeError('InvalidInput', `${what} ${quoted(name)} does not exist; there are ${known}`);
}
