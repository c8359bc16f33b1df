/**
 * @file How much memory a graph takes, before it runs: nodes are gone through as onnxruntime does, outputs are counted when
 * they are made and forgotten after their last use. Work space inside of operators is not seen, reuse in place not assumed.
 */
import { DTYPES, elementCount } from '../onnx/dtype.ts';
import { executionOrder } from '../onnx/execution-order.ts';
import type { Graph, Value } from '../onnx/graph.ts';
import { isUnknown, type Dim } from '../onnx/shapes.ts';

export interface MemoryEstimate {
  /**
   * Weights and constants, bytes, once for every node that reads them: products pack a copy of their own, and what all have
   * packed is forgotten as it was read. A layer whose adjoint is in the graph too is there twice, unless its weight is an
   * input with a default, which nothing packs.
   */
  readonly weights: number;
  /** Largest sum of values that are alive at one time, bytes. */
  readonly activations: number;
}

/** Operators whose output is their input under another shape: no memory of its own. */
const VIEWS = new Set(['Reshape', 'Identity', 'Squeeze', 'Unsqueeze', 'Flatten']);

/** Stands for every size that only run time knows. */
export const UNKNOWN = '?';

/**
 * Estimate for given sizes of the symbolic dimensions, such as `{ B: 8 }`, and the largest one of those that only run time
 * knows, `{ [UNKNOWN]: 24 }`. A size that is not given counts as 1.
 */
export function estimateMemory(graph: Graph, sizes: Readonly<Record<string, number>>): MemoryEstimate {
  const bytes = (value: Value): number =>
    DTYPES[value.dtype].bytes * value.shape.reduce<number>((product, dim) => product * sizeOf(dim, sizes), 1);
  const nodes = executionOrder(graph);
  const inputs = new Set(graph.inputs);
  const uses = new Map<Value, number>();
  for (const { inputs: read } of nodes) for (const input of read) if (input) uses.set(input, (uses.get(input) ?? 0) + 1);
  const copies = (value: Value): number => (inputs.has(value) ? 1 : (uses.get(value) ?? 1));
  const weights = weightBytes(graph, copies);

  // A view keeps the memory of what it shows alive.
  const owner = new Map<Value, Value>();
  const ownerOf = (value: Value): Value => owner.get(value) ?? value;
  const lastUse = new Map<Value, number>();
  nodes.forEach((node, at) => {
    const source = node.inputs[0];
    if (VIEWS.has(node.op) && source) owner.set(node.outputs[0]!, ownerOf(source));
    for (const input of node.inputs) if (input) lastUse.set(ownerOf(input), at);
  });
  for (const output of graph.outputs) lastUse.set(ownerOf(output), nodes.length);

  for (const { value } of graph.initializers) inputs.delete(value);
  let alive = [...inputs].reduce((sum, input) => sum + bytes(input), 0);
  let peak = alive;
  const dying = new Map<number, Value[]>();
  nodes.forEach((node, at) => {
    for (const output of node.outputs) {
      if (owner.has(output)) continue;
      alive += bytes(output);
      const end = lastUse.get(output) ?? at;
      dying.set(end, [...(dying.get(end) ?? []), output]);
    }
    peak = Math.max(peak, alive);
    for (const value of dying.get(at) ?? []) alive -= bytes(value);
  });
  return { weights, activations: peak };
}

/** Weights and constants of a graph, bytes; `copies` says how often one of them is counted. */
export function weightBytes({ initializers }: Graph, copies: (value: Value) => number = () => 1): number {
  return initializers.reduce(
    (sum, { value, external, data }) =>
      sum + copies(value) * (external ? external.length : DTYPES[data.dtype].bytes * elementCount(data.shape)),
    0,
  );
}

function sizeOf(dim: Dim, sizes: Readonly<Record<string, number>>): number {
  if (typeof dim === 'number') return dim;
  const size = (factor: string): number => (/^\d+$/.test(factor) ? Number(factor) : (sizes[isUnknown(factor) ? UNKNOWN : factor] ?? 1));
  return dim.split('*').reduce((product, factor) => product * size(factor), 1);
}
