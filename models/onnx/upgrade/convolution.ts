/**
 * @file Transposed convolutions whose padding follows from the sizes of their results, written with the padding.
 */
import { RefereeError } from '../../../errors.ts';
import { ints } from '../graph.ts';
import { isStatic } from '../shapes.ts';
import type { UpgradeStep, UpgradeTable } from './step.ts';
import { givenInput, without } from './step.ts';

const padded: UpgradeStep = {
  until: Infinity,
  apply: (node, { attributes, where }) => {
    const [x, w] = [givenInput(node, 0, where), givenInput(node, 1, where)];
    const mode = attributes.string('auto_pad', 'NOTSET');
    const asked = attributes.ints('output_shape');
    const [lengths, kernel] = [x.shape.slice(2), w.shape.slice(2)];
    const isSame = mode.startsWith('SAME');
    if ((!asked && !isSame) || !isStatic(kernel)) return node;
    const ones = kernel.map(() => 1);
    const strides = attributes.ints('strides') ?? ones;
    const dilations = attributes.ints('dilations') ?? ones;
    const extra = [...(attributes.ints('output_padding') ?? ones.map(() => 0))];
    const sizes = asked?.slice(-kernel.length);
    if ([strides, dilations, extra, lengths, sizes ?? ones].some((list) => list.length !== kernel.length)) {
      throw new RefereeError(
        'InvalidModel',
        `${where}: a kernel of ${kernel.length} axes needs as many of each setting`,
      );
    }
    // A known size that is asked for needs the size that it is made of.
    if (sizes && !isStatic(lengths)) return node;
    const pads = kernel.map((size, axis) => {
      const stride = strides[axis]!;
      const extent = (Number(size) - 1) * dilations[axis]! + 1;
      const full = sizes
        ? (Number(lengths[axis]) - 1) * stride + extent + extra[axis]! - sizes[axis]!
        : extent + extra[axis]! - stride;
      if (full >= 0) return full;
      // More than the windows reach: zeros at the end.
      if (sizes) extra[axis]! -= full;
      return 0;
    });
    const halves = pads.map((total) => Math.floor(total / 2));
    const rest = pads.map((total, axis) => total - halves[axis]!);
    const begins = mode === 'SAME_UPPER' ? halves : rest;
    const ends = mode === 'SAME_UPPER' ? rest : halves;
    return {
      ...node,
      attributes: {
        ...without(node.attributes, 'auto_pad', 'output_shape'),
        output_padding: ints(extra),
        pads: ints([...begins, ...ends]),
      },
    };
  },
};

export const convolutionUpgrades: UpgradeTable = { ConvTranspose: [padded] };
