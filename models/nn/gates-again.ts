/**
 * @file Gates of large images are made again on the way back instead of being kept. A decoder's norms are followed by
 * y sigma(y), y = gamma xhat + beta, whose derivative reads sigma(y) and y sigma(y): two images as large as xhat, which the
 * norm's own adjoint keeps anyway and from which both follow in three short passes with the same bytes (rematerialisation:
 * Chen et al. 2016, arXiv 1604.06174). For onnxruntime's CPU provider, on finished graphs.
 */
import type { Graph, Node, Value } from '../onnx/graph.ts';
import { float, producers, readersOf } from '../onnx/graph.ts';
import { Names, nodeNames, valueNames } from '../onnx/names.ts';

/** Elements of one image from which on its gates are made again: 4 MB, below which they cost little memory and more time. */
const LARGE = 2 ** 20;

/**
 * The graph with sigma(y) and y sigma(y) made twice wherever y is a scaled and shifted image of at least `elements` elements
 * and a derivative reads them.
 *
 * What is made again, and what follows from it alone, stands where it was made first, before all of the way back:
 * onnxruntime works backwards from the outputs and, of the inputs that a node waits for, begins with the one that stands
 * last. What stands first is made last, just before it is read.
 */
export function makeGatesAgain(graph: Graph, elements = LARGE): Graph {
  const gates = gatesOf(graph, elements);
  if (gates.length === 0) return graph;
  const names = new Names();
  names.reserveLater((call) => {
    valueNames(graph)(call);
    nodeNames(graph)(call);
  });
  const earlier = new Set(gates.flatMap(({ derivative }) => derivative));
  const behind = new Map(gates.map((gate) => [gate.product, again(gate, names)]));
  const nodes = graph.nodes.filter((node) => !earlier.has(node)).flatMap((node) => [node, ...(behind.get(node) ?? [])]);
  return { ...graph, nodes };
}

interface Gate {
  /** y = gamma xhat + beta, a batch normalisation with stored statistics. */
  readonly scaled: Node;
  /** sigma(y) */
  readonly sigmoid: Node;
  /** y sigma(y) */
  readonly product: Node;
  /** Nodes that follow from sigma(y), with y sigma(y) and constants, in their order. */
  readonly derivative: readonly Node[];
}

function gatesOf(graph: Graph, elements: number): Gate[] {
  const makers = producers(graph.nodes);
  const readers = readersOf(graph);
  const constants = new Set(graph.initializers.map(({ value }) => value));
  return graph.nodes.flatMap((sigmoid) => {
    const [y, sigma] = [sigmoid.inputs[0], sigmoid.outputs[0]!];
    if (sigmoid.op !== 'Sigmoid' || !y || elementsOfImage(y) < elements) return [];
    const scaled = makers.get(y);
    const product = readers.get(sigma)?.find(({ op, inputs }) => op === 'Mul' && inputs.includes(y));
    if (scaled?.op !== 'BatchNormalization' || scaled.outputs.length !== 1 || !product) return [];
    // What only reads y sigma(y), as the layer behind the gate does, is on the way forth.
    const following = new Set<Value>([sigma]);
    const isKnown = (input: Value | undefined): boolean =>
      !input || following.has(input) || constants.has(input) || input === product.outputs[0];
    const derivative = graph.nodes.filter((node) => {
      const follows = node.inputs.some((input) => input && following.has(input)) && node.inputs.every(isKnown);
      if (follows) for (const output of node.outputs) following.add(output);
      return follows;
    });
    const isGate = (node: Node): boolean => node === product || derivative.includes(node);
    if (derivative.length === 0 || !readers.get(sigma)!.every(isGate)) return [];
    return [{ scaled, sigmoid, product, derivative }];
  });
}

/** Elements of everything but the batch; 0 where a size is open. */
function elementsOfImage({ shape }: Value): number {
  return shape.slice(1).reduce<number>((product, size) => (typeof size === 'number' ? product * size : 0), 1);
}

/** Another momentum, which only training reads: onnxruntime makes equal nodes one. */
const OTHER_MOMENTUM = float(0.5);

function again({ scaled, sigmoid, product, derivative }: Gate, names: Names): Node[] {
  const made = new Map<Value, Value>();
  const fresh = (name: string): string => names.unique(`${name}/again`);
  const remade = (node: Node): Node => {
    const outputs = node.outputs.map((output) => ({ ...output, name: fresh(output.name) }));
    node.outputs.forEach((output, at) => made.set(output, outputs[at]!));
    return { ...reading(node), name: fresh(node.name), outputs };
  };
  const reading = (node: Node): Node => ({
    ...node,
    inputs: node.inputs.map((input) => input && (made.get(input) ?? input)),
  });
  const attributes = { ...scaled.attributes, momentum: OTHER_MOMENTUM };
  return [{ ...remade(scaled), attributes }, remade(sigmoid), remade(product), ...derivative.map(reading)];
}
