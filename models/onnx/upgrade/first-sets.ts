/**
 * @file Operator sets 1 to 6: broadcasting by attributes, types by name, other defaults.
 */
import { RefereeError } from '../../../errors.ts';
import type { DType } from '../dtype.ts';
import { DTYPES } from '../dtype.ts';
import type { Value } from '../graph.ts';
import { int } from '../graph.ts';
import { normalAxis } from '../shapes.ts';
import type { UpgradeStep, UpgradeTable } from './step.ts';
import { givenInput, withAttribute, withInputs, without } from './step.ts';

/** Input 1 stands beside the axes of input 0 from `axis` on, or beside its last ones. */
const broadcast: UpgradeStep = {
  until: 7,
  apply: (node, { b, attributes, where }) => {
    const [x, y] = [givenInput(node, 0, where), givenInput(node, 1, where)];
    const bare = { ...node, attributes: without(node.attributes, 'broadcast', 'axis') };
    if (attributes.int('broadcast', 0) === 0 || !attributes.has('axis') || y.shape.length === 0) return bare;
    const axis = normalAxis(attributes.int('axis', 0), x.shape.length, where);
    return { ...bare, inputs: [x, withOnesBehind({ b, y, count: x.shape.length - axis - y.shape.length, where })] };
  },
};

interface Placing {
  readonly b: Parameters<UpgradeStep['apply']>[1]['b'];
  readonly y: Value;
  readonly count: number;
  readonly where: string;
}

function withOnesBehind({ b, y, count, where }: Placing): Value {
  if (count < 0)
    throw new RefereeError('InvalidModel', `${where}: input 1 has more axes than there are from its axis on`);
  if (count === 0) return y;
  const rank = y.shape.length;
  return b.node('Unsqueeze', [y, b.int64(Array.from({ length: count }, (_, at) => rank + at))])[0]!;
}

/** One slope for all, or one per channel. */
const slope: UpgradeStep = {
  until: 7,
  apply: (node, { b, where }) => {
    const [x, y] = [givenInput(node, 0, where), givenInput(node, 1, where)];
    const isPerChannel = y.shape.length === 1 && y.shape[0] !== 1 && x.shape.length > 2;
    const count = x.shape.length - 2;
    return isPerChannel ? { ...node, inputs: [x, withOnesBehind({ b, y, count, where })] } : node;
  },
};

const forgetBroadcast: UpgradeStep = {
  until: 7,
  apply: (node) => ({ ...node, attributes: without(node.attributes, 'broadcast') }),
};

/** Whether a graph is used or trained was written at each node; all that come here are used. */
const forgetTest: UpgradeStep = {
  until: 7,
  apply: (node) => ({ ...node, attributes: without(node.attributes, 'is_test') }),
};

const concat: UpgradeStep = {
  until: 4,
  apply: (node, { attributes }) => withAttribute(node, 'axis', int(attributes.int('axis', 1))),
};

const TYPE_NAMES: Readonly<Record<string, DType>> = { FLOAT: 'float32', DOUBLE: 'float64' };

const cast: UpgradeStep = {
  until: 6,
  apply: (node, { attributes, where }) => {
    const name = attributes.string('to', '');
    const dtype = TYPE_NAMES[name] ?? name.toLowerCase();
    if (!Object.hasOwn(DTYPES, dtype)) {
      throw new RefereeError('InvalidModel', `${where}: element type "${name}" is not supported`);
    }
    return withAttribute(node, 'to', int(DTYPES[dtype as DType].onnx));
  },
};

const pad: UpgradeStep = {
  until: 2,
  apply: (node) => {
    const pads = node.attributes['paddings'];
    return pads ? { ...node, attributes: { ...without(node.attributes, 'paddings'), pads } } : node;
  },
};

/** One axis and how often it is repeated became a list of all. */
const tile: UpgradeStep = {
  until: 6,
  apply: (node, { b, where }) => {
    const x = givenInput(node, 0, where);
    const [tiles, axis] = [1, 2].map((at) => b.constantOf(givenInput(node, at, where))?.data[0]);
    if (tiles === undefined || axis === undefined) {
      throw new RefereeError('InvalidModel', `${where}: its tiles and its axis must be known`);
    }
    const at = normalAxis(Number(axis), x.shape.length, where);
    return withInputs(node, 1, [b.int64(x.shape.map((_, place) => (place === at ? Number(tiles) : 1)))], []);
  },
};

/** A real number that became a whole one. */
const wholePower: UpgradeStep = {
  until: 2,
  apply: (node, { attributes }) => withAttribute(node, 'p', int(Math.round(attributes.float('p', 2)))),
};

const BROADCASTING = ['Add', 'Sub', 'Mul', 'Div', 'Pow', 'And', 'Or', 'Xor', 'Equal', 'Greater', 'Less'];

export const firstSetUpgrades: UpgradeTable = {
  ...Object.fromEntries(BROADCASTING.map((name) => [name, [broadcast]])),
  PRelu: [slope],
  Gemm: [forgetBroadcast],
  BatchNormalization: [forgetTest],
  Concat: [concat],
  Cast: [cast],
  Pad: [pad],
  Tile: [tile],
  LpPool: [wholePower],
  GlobalLpPool: [wholePower],
};
