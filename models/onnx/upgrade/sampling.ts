/**
 * @file Resizing and sampling: Upsample became Resize, Resize took more inputs, modes got other names.
 */
import type { NamedNode } from '../builder.ts';
import { float32 } from '../dtype.ts';
import { text } from '../graph.ts';
import type { UpgradeContext, UpgradeStep, UpgradeTable } from './step.ts';
import { givenInput, without } from './step.ts';

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

const resize: UpgradeStep = {
  until: 11,
  apply: (node, context) => asymmetric(node, givenInput(node, 1, context.where), context),
};

const OLD_MODES: Readonly<Record<string, string>> = { bilinear: 'linear', bicubic: 'cubic' };

const gridSample: UpgradeStep = {
  until: 20,
  apply: (node, { attributes }) => {
    const mode = attributes.string('mode', 'bilinear');
    return { ...node, attributes: { ...node.attributes, mode: text(OLD_MODES[mode] ?? mode) } };
  },
};

export const samplingUpgrades: UpgradeTable = { Upsample: [upsample], Resize: [resize], GridSample: [gridSample] };
