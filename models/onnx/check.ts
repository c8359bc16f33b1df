/**
 * @file Well-formedness of a graph. The builder makes sound graphs only; this is for graphs that were put together or
 * changed by other code, before they are stored or handed to a runtime.
 */
import { RefereeError, isRefereeError, quoted } from '../../errors.ts';
import { DTYPES, elementCount } from './dtype.ts';
import type { Graph, Initializer, Node, Value } from './graph.ts';
import { AttributeReader, OPSET } from './graph.ts';
import { inferNode } from './infer.ts';
import type { InferContext } from './infer/rule.ts';
import type { Dim } from './shapes.ts';
import { formatShape, isStatic, isUnknown } from './shapes.ts';

/**
 * Everything that is wrong with a graph, one line each, naming node and operator: values that are read before they are
 * made, names that two have, types and shapes that differ from what inference says, weights whose bytes do not fit their
 * shapes, outputs that nobody makes. An empty list: the graph is sound.
 */
export function graphProblems(graph: Graph): string[] {
  const problems: string[] = [];
  const known = new Known();
  const nodeNames = new Set<string>();
  if (graph.opset !== OPSET) problems.push(`graph ${graph.name}: operator set ${graph.opset}, expected ${OPSET}`);
  for (const input of graph.inputs) {
    problems.push(...known.add(input, `input ${quoted(input.name)}`), ...shapeProblems(input));
  }
  for (const initializer of graph.initializers) {
    problems.push(...known.add(initializer.value, `initializer ${quoted(initializer.value.name)}`));
    problems.push(...initializerProblems(initializer));
    known.addContents(initializer);
  }
  for (const node of graph.nodes) {
    const where = `node ${node.name} (${node.op})`;
    if (nodeNames.has(node.name)) problems.push(`${where}: another node has its name`);
    nodeNames.add(node.name);
    problems.push(...nodeProblems(node, where, known));
    for (const output of node.outputs) problems.push(...known.add(output, where));
  }
  if (graph.outputs.length === 0) problems.push(`graph ${graph.name}: it has no outputs`);
  for (const output of graph.outputs) {
    if (!known.has(output)) problems.push(`output ${quoted(output.name)}: nothing makes it`);
  }
  if (new Set(graph.outputs).size < graph.outputs.length) {
    problems.push(`graph ${graph.name}: one value is declared as an output twice`);
  }
  return problems;
}

/**
 * Returns the graph if it is sound.
 *
 * @throws RefereeError `InvalidModel` with the first problem, and how many more there are
 */
export function checkGraph(graph: Graph): Graph {
  const [first, ...more] = graphProblems(graph);
  if (first === undefined) return graph;
  throw new RefereeError('InvalidModel', more.length === 0 ? first : `${first} (and ${more.length} more problems)`);
}

/** Values made so far, and what inference knows of their contents. */
class Known {
  readonly #values = new Set<Value>();
  readonly #names = new Set<string>();
  readonly #contents = new Map<Value, Initializer & { readonly data: NonNullable<Initializer['data']> }>();
  readonly dims = new Map<Value, readonly Dim[]>();

  has(value: Value): boolean {
    return this.#values.has(value);
  }

  add(value: Value, where: string): string[] {
    const isTaken = this.#names.has(value.name);
    this.#values.add(value);
    this.#names.add(value.name);
    return isTaken ? [`${where}: another value has the name ${quoted(value.name)}`] : [];
  }

  addContents(initializer: Initializer): void {
    if (!initializer.data) return;
    const { value, data } = initializer;
    this.#contents.set(value, initializer);
    const isInteger = data.dtype === 'int64' || data.dtype === 'int32';
    if (isInteger && data.shape.length <= 1) this.dims.set(value, Array.from(data.data as BigInt64Array, Number));
  }

  constant(value: Value): Initializer['data'] {
    return this.#contents.get(value)?.data;
  }
}

function shapeProblems(value: Value): string[] {
  const bad = value.shape.find((dim) =>
    typeof dim === 'number' ? !(Number.isSafeInteger(dim) && dim >= 0) : dim === '',
  );
  return bad === undefined ? [] : [`value ${quoted(value.name)}: found the dimension ${quoted(bad)}`];
}

function initializerProblems({ value, data, external }: Initializer): string[] {
  const where = `initializer ${quoted(value.name)}`;
  const { shape, dtype } = value;
  if (!isStatic(shape)) return [`${where}: shape ${formatShape(shape)}, expected numbers only`];
  const bad = shapeProblems(value);
  if (bad.length > 0) return bad;
  const bytes = elementCount(shape) * DTYPES[dtype].bytes;
  if (external) {
    const { file, offset, length } = external;
    if (length !== bytes) return [`${where}: ${length} bytes of ${quoted(file)}, its shape needs ${bytes}`];
    return Number.isSafeInteger(offset) && offset >= 0 ? [] : [`${where}: begins at byte ${offset} of ${quoted(file)}`];
  }
  if (data.dtype !== dtype || formatShape(data.shape) !== formatShape(shape)) {
    return [
      `${where}: declared as ${dtype}${formatShape(shape)}, its tensor is ${data.dtype}${formatShape(data.shape)}`,
    ];
  }
  return data.data.byteLength === bytes
    ? []
    : [`${where}: holds ${data.data.byteLength} bytes, its shape needs ${bytes}`];
}

function nodeProblems(node: Node, where: string, known: Known): string[] {
  const unmade = node.inputs.filter((input) => input !== undefined && !known.has(input));
  if (unmade.length > 0) {
    return unmade.map((input) => `${where}: reads ${quoted(input?.name)} before anything makes it`);
  }
  if (node.domain !== '') return [`${where}: operators of ${quoted(node.domain)} are not known`];
  const context: InferContext = {
    op: node.op,
    where,
    inputs: node.inputs,
    attributes: new AttributeReader(node.attributes, where),
    outputs: node.outputs.length,
    constant: (value) => known.constant(value),
    dims: (value) => known.dims.get(value),
  };
  try {
    const inferred = inferNode(context);
    if (inferred.length < node.outputs.length) {
      return [`${where}: has ${node.outputs.length} outputs, the operator has ${inferred.length}`];
    }
    return node.outputs.flatMap((output, at) => {
      const { dtype, shape, dims } = inferred[at]!;
      if (dims) known.dims.set(output, dims);
      const fits =
        output.dtype === dtype &&
        output.shape.length === shape.length &&
        output.shape.every((dim, axis) => agrees(dim, shape[axis]!));
      if (fits) return [];
      return [
        `${where}: output ${quoted(output.name)} is declared as ${output.dtype}${formatShape(output.shape)}, ` +
          `inference says ${dtype}${formatShape(shape)}`,
      ];
    });
  } catch (error) {
    if (isRefereeError(error)) return [error.message];
    // Rules of inference trust the number and rank of their inputs.
    if (error instanceof TypeError || error instanceof RangeError) {
      return [`${where}: its inputs do not fit the operator`];
    }
    throw error;
  }
}

/** Unknown dimensions have new names each time that they are inferred, and say nothing. */
function agrees(declared: Dim, inferred: Dim): boolean {
  return declared === inferred || isUnknown(declared) || isUnknown(inferred);
}
