/**
 * @file Calls of a model's own functions, replaced by the functions' nodes. Values inside get names of their own, and
 * attributes that a body takes from its call get the call's.
 */
import { create } from '@bufbuild/protobuf';

import { RefereeError, quoted } from '../../errors.ts';
import type { AttributeProto, FunctionProto, ModelProto, NodeProto, OperatorSetIdProto } from './onnx_pb.ts';
import { AttributeProtoSchema, NodeProtoSchema } from './onnx_pb.ts';
import { renameInGraphs } from './subgraphs.ts';

/** Functions that call functions multiply: beyond this number of nodes, or letters of their names, a file is hostile. */
const MAX_NODES = 50_000;
const MAX_LETTERS = 20_000_000;
const MAX_DEPTH = 64;

/** Version of ONNX's own operators among the imported sets; 0 if there is none. */
export function versionOf(imports: readonly OperatorSetIdProto[]): number {
  return Number(imports.find(({ domain }) => domain === '' || domain === 'ai.onnx')?.version ?? 0n);
}

const keyOf = (domain: string, name: string, overload: string): string => JSON.stringify([domain, name, overload]);

export class FunctionInliner {
  readonly #functions = new Map<string, FunctionProto>();
  /** Operator sets of nodes that come from a function. */
  readonly #opsets = new WeakMap<NodeProto, number>();
  #calls = 0;
  #nodes = 0;
  #letters = 0;

  constructor({ functions }: ModelProto) {
    for (const body of functions) {
      const key = keyOf(body.domain, body.name, body.overload);
      if (this.#functions.has(key)) {
        throw new RefereeError('InvalidModel', `the function ${quoted(body.name)} is defined twice`);
      }
      this.#functions.set(key, body);
    }
  }

  /** The operator set that a node is written in, where that is not the model's. */
  opsetOf(node: NodeProto): number | undefined {
    return this.#opsets.get(node);
  }

  /** The nodes, without calls. */
  inline(nodes: readonly NodeProto[]): NodeProto[] {
    if (this.#functions.size === 0) return [...nodes];
    return this.#expand(nodes, []);
  }

  #expand(nodes: readonly NodeProto[], callers: readonly FunctionProto[]): NodeProto[] {
    return nodes.flatMap((node) => {
      const body = this.#functions.get(keyOf(node.domain, node.opType, node.overload));
      if (!body) {
        this.#nodes += 1;
        if (this.#nodes > MAX_NODES) {
          throw new RefereeError('InvalidModel', `its functions make more than ${MAX_NODES} nodes`);
        }
        return [node];
      }
      if (callers.includes(body) || callers.length >= MAX_DEPTH) {
        throw new RefereeError('InvalidModel', `function ${quoted(body.name)}: it calls itself`);
      }
      return this.#expand(this.#bodyOf(node, body), [...callers, body]);
    });
  }

  #bodyOf(call: NodeProto, body: FunctionProto): NodeProto[] {
    this.#calls += 1;
    const prefix = `${call.name || call.opType}.${this.#calls}/`;
    const names = new Map<string, string>([['', '']]);
    body.output.forEach((formal, at) => {
      const actual = call.output[at];
      if (actual) names.set(formal, actual);
    });
    const passed = body.output.flatMap((formal, at) => (body.input.includes(formal) ? [{ formal, at }] : []));
    body.input.forEach((formal, at) => names.set(formal, call.input[at] ?? ''));
    const rename = (name: string): string => names.get(name) ?? `${prefix}${name}`;
    this.#letters += body.node.length * prefix.length;
    if (this.#letters > MAX_LETTERS) {
      throw new RefereeError('InvalidModel', `its functions make names of more than ${MAX_LETTERS} letters`);
    }
    const opset = versionOf(body.opsetImport) || undefined;
    const nodes = body.node.map((inner) =>
      create(NodeProtoSchema, {
        name: `${prefix}${inner.name || inner.opType}`,
        opType: inner.opType,
        domain: inner.domain,
        overload: inner.overload,
        input: inner.input.map(rename),
        output: inner.output.map(rename),
        attribute: renameInGraphs(withCallAttributes(inner.attribute, call, body), rename),
      }),
    );
    // An output that is an input, handed through.
    for (const { formal, at } of passed) {
      const output = call.output[at];
      if (output)
        nodes.push(create(NodeProtoSchema, { opType: 'Identity', input: [rename(formal)], output: [output] }));
    }
    if (opset !== undefined) for (const node of nodes) this.#opsets.set(node, opset);
    return nodes;
  }
}

/** Attributes of a node of a body: those that refer to the call's take its value, or the function's own default. */
function withCallAttributes(
  attributes: readonly AttributeProto[],
  call: NodeProto,
  body: FunctionProto,
): AttributeProto[] {
  return attributes.flatMap((attribute) => {
    if (attribute.refAttrName === '') return [attribute];
    const isNamed = ({ name }: AttributeProto): boolean => name === attribute.refAttrName;
    const given = call.attribute.find(isNamed) ?? body.attributeProto.find(isNamed);
    if (!given) return [];
    // Not a deep copy: a body may be called often with a large tensor.
    return [Object.assign(create(AttributeProtoSchema), given, { name: attribute.name })];
  });
}
