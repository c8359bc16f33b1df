/**
 * @file Nodes of older operator sets, written as operator set 21 writes them, so that everything behind the reader knows
 * one set only. Source: the operators' histories in ONNX's Changelog.md.
 */
import { RefereeError } from '../../errors.ts';
import type { GraphBuilder, NamedNode } from './builder.ts';
import type { Attributes } from './graph.ts';
import { AttributeReader, int, text } from './graph.ts';

/** Before 13, Softmax and others flatten their input. */
export const OLDEST_OPSET = 13;
/** Sets 22 and 23 add operators and element types, and change nothing that we know. */
export const NEWEST_OPSET = 23;

/** Axes became an input in set 18 (ReduceSum: 13). */
const AXES_WERE_ATTRIBUTE = new Set([
  'ReduceMax',
  'ReduceMin',
  'ReduceMean',
  'ReduceProd',
  'ReduceL1',
  'ReduceL2',
  'ReduceLogSum',
  'ReduceLogSumExp',
  'ReduceSumSquare',
]);

/** Names of GridSample's modes until set 20. */
const OLD_MODES: Readonly<Record<string, string>> = { bilinear: 'linear', bicubic: 'cubic' };

/** The node as set 21 writes it; may append constants. */
export function upgradeNode(b: GraphBuilder, opset: number, node: NamedNode): NamedNode {
  const where = `node ${node.name} (${node.op})`;
  const attributes = new AttributeReader(node.attributes, where);
  if (opset < 18 && AXES_WERE_ATTRIBUTE.has(node.op)) {
    const axes = attributes.ints('axes');
    if (!axes) return node;
    return { ...node, inputs: [node.inputs[0], b.int64(axes)], attributes: without(node.attributes, 'axes') };
  }
  if (opset < 18 && node.op === 'Split' && !node.inputs[1]) {
    return { ...node, attributes: { ...node.attributes, num_outputs: int(node.outputs.length) } };
  }
  if (opset < 20 && node.op === 'GridSample') {
    const mode = attributes.string('mode', 'bilinear');
    return { ...node, attributes: { ...node.attributes, mode: text(OLD_MODES[mode] ?? mode) } };
  }
  if (opset < 21 && node.op === 'GroupNormalization') {
    throw new RefereeError(
      'InvalidModel',
      `${where}: scale and bias per group, of operator set ${opset}, are not supported`,
    );
  }
  return node;
}

function without(attributes: Attributes, name: string): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([key]) => key !== name));
}
