/**
 * @file Graphs inside nodes: the branches of `If`. What they read of the graph around them, and their names replaced.
 */
import { clone } from '@bufbuild/protobuf';

import { RefereeError, quoted } from '../../errors.ts';
import type { AttributeProto, GraphProto, NodeProto } from './onnx_pb.ts';
import { AttributeProtoSchema } from './onnx_pb.ts';

/** Graphs within graphs, deeper than anybody writes them. */
export const MAX_NESTING = 16;

/** The graph attributes of a node. */
export function subgraphsOf(node: NodeProto): GraphProto[] {
  return node.attribute.flatMap(({ g, graphs }) => (g ? [g, ...graphs] : graphs));
}

/** Names of values around a node that its graphs read. */
export function capturedNames(node: NodeProto, depth = 0): string[] {
  const graphs = subgraphsOf(node);
  if (graphs.length === 0) return [];
  if (depth >= MAX_NESTING) {
    throw new RefereeError(
      'InvalidModel',
      `node ${quoted(node.name)}: graphs lie within graphs more than ${depth} deep`,
    );
  }
  return [...new Set(graphs.flatMap((graph) => readFromOutside(graph, depth + 1)))];
}

function readFromOutside(graph: GraphProto, depth: number): string[] {
  const own = new Set([
    ...graph.input.map(({ name }) => name),
    ...graph.initializer.map(({ name }) => name),
    ...graph.node.flatMap(({ output }) => output),
  ]);
  const read = [
    ...graph.node.flatMap((node) => [...node.input, ...capturedNames(node, depth)]),
    ...graph.output.map(({ name }) => name),
  ];
  return read.filter((name) => name !== '' && !own.has(name));
}

/** A copy of the attributes in which the graphs' values have other names. */
export function renameInGraphs(
  attributes: readonly AttributeProto[],
  rename: (name: string) => string,
): AttributeProto[] {
  return attributes.map((attribute) => {
    if (!attribute.g) return attribute;
    const copy = clone(AttributeProtoSchema, attribute);
    renameGraph(copy.g!, rename);
    return copy;
  });
}

function renameGraph(graph: GraphProto, rename: (name: string) => string): void {
  for (const info of [...graph.input, ...graph.initializer, ...graph.output]) info.name = rename(info.name);
  for (const node of graph.node) {
    node.input = node.input.map(rename);
    node.output = node.output.map(rename);
    node.attribute = renameInGraphs(node.attribute, rename);
  }
}
