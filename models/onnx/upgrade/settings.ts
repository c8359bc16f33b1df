/**
 * @file Settings that were attributes and became inputs: axes, ranges, bounds, paddings, sizes.
 */
import { RefereeError } from '../../../errors.ts';
import type { NamedNode } from '../builder.ts';
import type { DType, Tensor } from '../dtype.ts';
import { float32, isFloat, scalar } from '../dtype.ts';
import { int } from '../graph.ts';
import type { UpgradeContext, UpgradeStep, UpgradeTable } from './step.ts';
import { givenInput, withAttribute, withInputs, without } from './step.ts';

/** A list of whole numbers that became input 1. */
function listToInput(name: string, until: number): UpgradeStep {
  return {
    until,
    apply: (node, { b, attributes }) => {
      const list = attributes.ints(name);
      return list ? withInputs(node, 1, [b.int64(list)], [name]) : node;
    },
  };
}

/** A number of the type of input 0. */
function numberLike(value: number, dtype: DType, where: string): Tensor {
  if (dtype === 'float32' || dtype === 'float64' || dtype === 'int64' || dtype === 'int32') return scalar(value, dtype);
  throw new RefereeError('InvalidModel', `${where}: found elements of ${dtype}, expected float32 or float64`);
}

/** A bound or filling as an input: half precision is cast, since constants are made of numbers. */
function numberInput(node: NamedNode, value: number, { b, where }: UpgradeContext): NamedNode['inputs'][number] {
  const { dtype } = givenInput(node, 0, where);
  if (!isFloat(dtype) || dtype === 'float32' || dtype === 'float64') return b.constant(numberLike(value, dtype, where));
  return b.node('CastLike', [b.constant(float32([value], [])), node.inputs[0]])[0]!;
}

const clip: UpgradeStep = {
  until: 11,
  apply: (node, context) => {
    const bound = (name: string): NamedNode['inputs'][number] =>
      context.attributes.has(name) ? numberInput(node, context.attributes.float(name, 0), context) : undefined;
    return withInputs(node, 1, [bound('min'), bound('max')], ['min', 'max']);
  },
};

const pad: UpgradeStep = {
  until: 11,
  apply: (node, context) => {
    const pads = context.attributes.ints('pads') ?? [];
    const value = numberInput(node, context.attributes.float('value', 0), context);
    return withInputs(node, 1, [context.b.int64(pads), value], ['pads', 'value']);
  },
};

const slice: UpgradeStep = {
  until: 10,
  apply: (node, { b, attributes, where }) => {
    const [starts, ends, axes] = [attributes.ints('starts'), attributes.ints('ends'), attributes.ints('axes')];
    if (!starts || ends?.length !== starts.length) {
      throw new RefereeError('InvalidModel', `${where}: needs as many ends as starts`);
    }
    const inputs = [b.int64(starts), b.int64(ends), axes ? b.int64(axes) : undefined];
    return withInputs(node, 1, inputs, ['starts', 'ends', 'axes']);
  },
};

const topK: UpgradeStep = {
  until: 10,
  apply: (node, { b, attributes }) => withInputs(node, 1, [b.int64([attributes.int('k', 1)])], ['k']),
};

/** Parts of equal size: the number of outputs said so. */
const equalParts: UpgradeStep = {
  until: 18,
  apply: (node) => (node.inputs[1] ? node : withAttribute(node, 'num_outputs', int(node.outputs.length))),
};

/** Inference: the ratio does not matter, and the mask is all ones. */
const dropout: UpgradeStep = {
  until: 12,
  apply: (node) => ({ ...node, attributes: without(node.attributes, 'ratio', 'is_test', 'consumed_inputs') }),
};

/** Its axis became an input, and another one if nothing is said. */
const fourier: UpgradeStep = {
  until: 20,
  apply: (node, { b, attributes }) => withInputs(node, 2, [b.scalar(attributes.int('axis', 1), 'int64')], ['axis']),
};

/** Axes became an input in set 18 (ReduceSum: 13). */
const REDUCTIONS = ['Max', 'Min', 'Mean', 'Prod', 'L1', 'L2', 'LogSum', 'LogSumExp', 'SumSquare'];

export const settingUpgrades: UpgradeTable = {
  ...Object.fromEntries(REDUCTIONS.map((name) => [`Reduce${name}`, [listToInput('axes', 18)]])),
  ReduceSum: [listToInput('axes', 13)],
  Squeeze: [listToInput('axes', 13)],
  Unsqueeze: [listToInput('axes', 13)],
  Reshape: [listToInput('shape', 5)],
  Split: [listToInput('split', 13), equalParts],
  Clip: [clip],
  Pad: [pad],
  Slice: [slice],
  TopK: [topK],
  Dropout: [dropout],
  DFT: [fourier],
};
