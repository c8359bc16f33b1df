/**
 * @file Normalisations: softmax over flattened matrices, batch normalisation with more outputs, group normalisation with
 * parameters per group.
 */
import { RefereeError } from '../../../errors.ts';
import type { NamedNode } from '../builder.ts';
import type { Value } from '../graph.ts';
import { int } from '../graph.ts';
import { formatShape, normalAxis } from '../shapes.ts';
import type { UpgradeContext, UpgradeStep, UpgradeTable } from './step.ts';
import { givenInput, withAttribute, without } from './step.ts';

/**
 * Before set 13 the input was seen as a matrix: axes before `axis` are its rows, the others its columns. Where the axis is
 * the last one that is what it is today; else the matrix is written out.
 */
const flattened: UpgradeStep = {
  until: 13,
  apply: (node, { b, attributes, where }) => {
    const x = givenInput(node, 0, where);
    const rank = x.shape.length;
    const axis = normalAxis(attributes.int('axis', 1), rank, where);
    if (axis === rank - 1) return withAttribute(node, 'axis', int(-1));
    const [matrix] = b.node('Flatten', [x], { axis: int(axis) });
    const [result] = b.node(node.op, [matrix], { ...node.attributes, axis: int(-1) });
    const inputs = [result, b.shapeVector(x.shape)];
    return { ...node, op: 'Reshape', inputs, attributes: {} };
  },
};

/** Statistics that the old operator also gave away are those of training, which nobody reads in a net that is used. */
const batchNormalization: UpgradeStep = {
  until: 14,
  apply: (node, { attributes, where }) => {
    if (attributes.int('spatial', 1) !== 1) {
      throw new RefereeError('InvalidModel', `${where}: statistics per element (spatial 0) are not supported`);
    }
    return { ...node, outputs: node.outputs.slice(0, 1), attributes: without(node.attributes, 'spatial') };
  },
};

/** One number per group becomes one per channel. */
function perChannel(node: NamedNode, at: number, { b, attributes, where }: UpgradeContext): Value {
  const parameter = givenInput(node, at, where);
  const channels = givenInput(node, 0, where).shape[1];
  const groups = attributes.int('num_groups', 1);
  if (parameter.shape.length !== 1 || (typeof parameter.shape[0] === 'number' && parameter.shape[0] !== groups)) {
    const found = formatShape(parameter.shape);
    throw new RefereeError('InvalidModel', `${where}: scale and bias per group: found ${found}, expected [${groups}]`);
  }
  if (typeof channels !== 'number' || channels % groups !== 0) {
    throw new RefereeError('InvalidModel', `${where}: ${channels ?? 'no'} channels, expected a multiple of ${groups}`);
  }
  const [column] = b.node('Reshape', [parameter, b.int64([groups, 1])]);
  const [repeated] = b.node('Expand', [column, b.int64([groups, channels / groups])]);
  return b.node('Reshape', [repeated, b.int64([channels])])[0]!;
}

const groupNormalization: UpgradeStep = {
  until: 21,
  apply: (node, context) => ({
    ...node,
    inputs: [node.inputs[0], perChannel(node, 1, context), perChannel(node, 2, context)],
    attributes: without(node.attributes, 'stash_type'),
  }),
};

export const normalisationUpgrades: UpgradeTable = {
  Softmax: [flattened],
  LogSoftmax: [flattened],
  Hardmax: [flattened],
  BatchNormalization: [batchNormalization],
  GroupNormalization: [groupNormalization],
};
