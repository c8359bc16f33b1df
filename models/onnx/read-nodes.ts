/**
 * @file Nodes and initializers of a file -> the graph that is being built.
 */
import { RefereeError, quoted } from '../../errors.ts';
import type { GraphBuilder, NamedNode } from './builder.ts';
import type { Value } from './graph.ts';
import { takeApart } from './composites.ts';
import { AttributeReader } from './graph.ts';
import { constantTensor } from './infer/shape.ts';
import type { FunctionInliner } from './inline-functions.ts';
import type { GraphProto, NodeProto, TensorProto } from './onnx_pb.ts';
import { readAttributes } from './read-attributes.ts';
import { readTensor } from './read-tensor.ts';
import { Scope } from './scope.ts';
import { sortNodes } from './sort-nodes.ts';
import { MAX_NESTING } from './subgraphs.ts';
import { upgradeNode } from './upgrade.ts';

/** Operators that run graphs a number of times that only run time knows. */
const LOOPS = new Set(['Loop', 'Scan', 'SequenceMap']);

export interface NodeReaderOptions {
  /** Operator set of the model. */
  readonly opset: number;
  readonly inliner: FunctionInliner;
  /** Where external data may lie. */
  readonly folder: string | undefined;
}

export class NodeReader {
  readonly #b: GraphBuilder;
  readonly #options: NodeReaderOptions;

  constructor(b: GraphBuilder, options: NodeReaderOptions) {
    this.#b = b;
    this.#options = options;
  }

  readInitializers(tensors: readonly TensorProto[], scope: Scope, isBranch = false): void {
    for (const tensor of tensors) {
      if (tensor.name === '') throw new RefereeError('InvalidModel', 'an initializer has no name');
      const read = readTensor(tensor, `initializer ${quoted(tensor.name)}`, this.#options.folder);
      const name = isBranch ? this.#b.freeName(tensor.name) : tensor.name;
      scope.set(tensor.name, 'external' in read ? this.#b.namedWeight(name, read) : this.#b.namedConstant(name, read));
    }
  }

  /** All nodes, in an order in which they can be executed, their outputs into `scope`. */
  readNodes(nodes: readonly NodeProto[], scope: Scope, isBranch = false): void {
    // Functions that call themselves do so in a branch.
    if (scope.depth > MAX_NESTING) {
      throw new RefereeError('InvalidModel', `graphs lie within graphs more than ${MAX_NESTING} deep`);
    }
    for (const node of sortNodes(this.#options.inliner.inline(nodes), scope)) this.#readNode(node, scope, isBranch);
  }

  #readNode(proto: NodeProto, scope: Scope, isBranch: boolean): void {
    const name = oneLine(proto.name) || oneLine(proto.opType);
    const where = `node ${name} (${oneLine(proto.opType)})`;
    if (proto.domain !== '' && proto.domain !== 'ai.onnx') {
      throw new RefereeError('InvalidModel', `${where}: operators of ${quoted(proto.domain)} are not supported`);
    }
    if (LOOPS.has(proto.opType)) throw uncontrollable(where, 'it repeats a graph');
    if (proto.opType === 'If') {
      this.#readIf(proto, where, scope);
      return;
    }
    const nameOf = (output: string): string => (isBranch ? this.#b.freeName(output) : output);
    const attributes = readAttributes(proto.attribute, where);
    if (proto.opType === 'Constant') {
      const tensor = constantTensor({ attributes: new AttributeReader(attributes, where) });
      const output = proto.output[0];
      if (!tensor || !output) throw new RefereeError('InvalidModel', `${where}: has no value that is supported`);
      scope.set(output, this.#b.namedConstant(nameOf(output), tensor));
      return;
    }
    const inputs = proto.input.map((input) => (input === '' ? undefined : scope.get(input)!));
    const names = [...proto.output];
    while (names.length > 0 && names[names.length - 1] === '') names.pop();
    const outputs = names.map((output) => (output === '' ? undefined : nameOf(output)));
    this.#append({ name, op: proto.opType, inputs, outputs, attributes }, proto, where).forEach((value, at) => {
      if (names[at]) scope.set(names[at], value);
    });
  }

  #append(node: NamedNode, proto: NodeProto, where: string): Value[] {
    try {
      const upgraded = upgradeNode(this.#b, this.#options.inliner.opsetOf(proto) ?? this.#options.opset, node);
      return takeApart(this.#b, upgraded) ?? this.#b.namedNode(upgraded);
    } catch (error) {
      // Rules of inference trust the number and rank of their inputs.
      if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
      throw new RefereeError('InvalidModel', `${where}: its inputs do not fit the operator`, { cause: error });
    }
  }

  /** The branch that a known condition takes stands in the place of the node. */
  #readIf(proto: NodeProto, where: string, scope: Scope): void {
    const condition = proto.input[0] ? scope.get(proto.input[0]) : undefined;
    const known = condition && this.#b.constantOf(condition);
    if (known?.data.length !== 1) {
      throw uncontrollable(where, 'its condition is known at run time only', `: ${FIX}`);
    }
    const branch = branchOf(proto, known.data[0] ? 'then_branch' : 'else_branch', where);
    const inner = new Scope(scope);
    this.readInitializers(branch.initializer, inner, true);
    this.readNodes(branch.node, inner, true);
    proto.output.forEach((output, at) => {
      if (output === '') return;
      const value = inner.get(branch.output[at]?.name ?? '');
      if (!value) throw new RefereeError('InvalidModel', `${where}: its branch does not make output ${at}`);
      const name = `${where.slice('node '.length)}/${at}`;
      const [named] = this.#b.namedNode({
        name,
        op: 'Identity',
        inputs: [value],
        outputs: [this.#b.isReserved(output) ? output : this.#b.freeName(output)],
        attributes: {},
      });
      scope.set(output, named!);
    });
  }
}

const FIX = 'fix the sizes and whole numbers that it depends on, such as --fix T=40 (sizes: { T: 40 })';

function uncontrollable(where: string, why: string, remedy = ''): RefereeError {
  return new RefereeError(
    'InvalidModel',
    `${where}: ${why}; control flow of run time cannot be differentiated${remedy}`,
  );
}

function branchOf(proto: NodeProto, name: string, where: string): GraphProto {
  const graph = proto.attribute.find((attribute) => attribute.name === name)?.g;
  if (!graph) throw new RefereeError('InvalidModel', `${where}: has no ${name}`);
  return graph;
}

/** Text of a file in a message or a name: one line, not too long. */
export function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, '_').slice(0, 500);
}
