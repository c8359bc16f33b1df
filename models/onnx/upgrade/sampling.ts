/**
 * @file Resizing and sampling: Upsample became Resize, Resize took more inputs, modes got other names.
 */
import { RefereeError } from '../../../errors.ts';
import type { NamedNode } from '../builder.ts';
import { float32 } from '../dtype.ts';
import { text } from '../graph.ts';
import { isStatic, normalAxis } from '../shapes.ts';
import type { UpgradeContext, UpgradeStep, UpgradeTable } from './step.ts';
import { givenInput, withAttribute, without } from './step.ts';

/** Places as sets 7 to 10 computed them: by division alone, rounded down. */
function asymmetric(node: NamedNode, scales: NamedNode['inputs'][number], { attributes }: UpgradeContext): NamedNode {
  const mode = attributes.string('mode', 'nearest');
  return {
    ...node,
    op: 'Resize',
    inputs: [node.inputs[0], undefined, scales],
    attributes: {
      ...without(node.attributes, 'scales', 'mode'),
      // Set 7 and 8 said bilinear.
      mode: text(mode === 'bilinear' ? 'linear' : mode),
      coordinate_transformation_mode: text('asymmetric'),
      nearest_mode: text('floor'),
    },
  };
}

const upsample: UpgradeStep = {
  until: 10,
  apply: (node, context) => {
    const { b, attributes, opset, where } = context;
    if (opset >= 9) return asymmetric(node, givenInput(node, 1, where), context);
    return asymmetric(node, b.constant(float32(attributes.floats('scales') ?? [])), context);
  },
};

/**
 * Set 10 took the nearest pixel before the place where an axis grows, and the one behind it where an axis shrinks: axes
 * that shrink do so first, in a node of their own.
 */
const resize: UpgradeStep = {
  until: 11,
  apply: (node, context) => {
    const { b, where } = context;
    const scales = givenInput(node, 1, where);
    const resized = asymmetric(node, scales, context);
    const numbers = b.constantOf(scales);
    const factors = numbers && Array.from(numbers.data as Float32Array, Number);
    const isNearest = context.attributes.string('mode', 'nearest') === 'nearest';
    if (!isNearest || factors?.every((factor) => factor >= 1)) return resized;
    const [shrinking, growing] = (['Min', 'Max'] as const).map((part) =>
      factors
        ? b.constant(float32(factors.map((factor) => (part === 'Min' ? Math.min : Math.max)(factor, 1))))
        : b.node(part, [scales, b.scalar(1)])[0]!,
    );
    const shrunk = { ...resized.attributes, nearest_mode: text('ceil') };
    if (factors?.every((factor) => factor <= 1)) return { ...resized, attributes: shrunk };
    const [small] = b.node('Resize', [node.inputs[0], undefined, shrinking], shrunk);
    return { ...resized, inputs: [small, undefined, growing] };
  },
};

/** Scales that are left out by an empty tensor, beside sizes. */
const emptyScales: UpgradeStep = {
  until: Infinity,
  apply: (node) => {
    const [x, region, scales, sizes] = node.inputs;
    const isEmpty = scales !== undefined && sizes !== undefined && scales.shape[0] === 0;
    return isEmpty ? { ...node, inputs: [x, region, undefined, sizes] } : node;
  },
};

/** Sizes that keep the proportions of the axes: one scale for all, the smallest or the largest that fits. */
const proportions: UpgradeStep = {
  until: Infinity,
  apply: (node, { b, attributes, where }) => {
    const policy = attributes.string('keep_aspect_ratio_policy', 'stretch');
    if (policy === 'stretch' || !node.inputs[3]) return node;
    const x = givenInput(node, 0, where);
    const axes = attributes.ints('axes')?.map((axis) => normalAxis(axis, x.shape.length, where));
    const lengths = (axes ?? x.shape.map((_, axis) => axis)).map((axis) => x.shape[axis]!);
    const sizes = b.dimsOf(node.inputs[3]);
    const isKnown = sizes?.length === lengths.length && isStatic(sizes) && isStatic(lengths);
    if (!isKnown || (policy !== 'not_larger' && policy !== 'not_smaller')) {
      throw new RefereeError(
        'InvalidModel',
        `${where}: keep_aspect_ratio_policy "${policy}" needs sizes that are known`,
      );
    }
    const scales = sizes.map((size, at) => size / Number(lengths[at]));
    const scale = policy === 'not_larger' ? Math.min(...scales) : Math.max(...scales);
    // Places follow from the one scale, not from the sizes: it is written as scales where those give the same sizes.
    const factor = Math.fround(scale);
    const isSame = lengths.every(
      (length) => Math.floor(Math.fround(Number(length) * factor)) === Math.floor(scale * Number(length) + 0.5),
    );
    if (!isSame) {
      throw new RefereeError('InvalidModel', `${where}: keep_aspect_ratio_policy "${policy}" rounds a size up`);
    }
    return {
      ...node,
      inputs: [x, node.inputs[1], b.constant(float32(lengths.map(() => factor)))],
      attributes: without(node.attributes, 'keep_aspect_ratio_policy'),
    };
  },
};

const OLD_MODES: Readonly<Record<string, string>> = { bilinear: 'linear', bicubic: 'cubic' };

const gridSample: UpgradeStep = {
  until: 20,
  apply: (node, { attributes }) => {
    const mode = attributes.string('mode', 'bilinear');
    return { ...node, attributes: { ...node.attributes, mode: text(OLD_MODES[mode] ?? mode) } };
  },
};

/** Regions began half a pixel later. */
const roiAlign: UpgradeStep = {
  until: 16,
  apply: (node) => withAttribute(node, 'coordinate_transformation_mode', text('output_half_pixel')),
};

export const samplingUpgrades: UpgradeTable = {
  Upsample: [upsample],
  Resize: [resize, emptyScales, proportions],
  GridSample: [gridSample],
  RoiAlign: [roiAlign],
};
