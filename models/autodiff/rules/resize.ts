/**
 * @file Resize is linear and works axis by axis: its way back is a product with a matrix per axis, and the matrix is what
 * the operator itself makes of the unit matrix. So every mode is covered, with the coefficients of the runtime.
 */
import type { GraphBuilder } from '../../onnx/builder.ts';
import type { Attributes, Value } from '../../onnx/graph.ts';
import * as op from '../../onnx/ops.ts';
import { dimQuotient, normalAxis } from '../../onnx/shapes.ts';
import { mapAxis } from '../linear-map.ts';
import type { Rule, RuleContext, RuleTable } from '../rule.ts';
import { missingRule } from '../rule.ts';
import { sizesOf } from '../sizes.ts';

interface ResizedAxis {
  readonly axis: number;
  /** Its entry in `scales`, or its size in the result. */
  readonly by: { readonly scale: Value } | { readonly size: Value };
}

/** Axes that the node may change, and how far each is scaled. */
function resizedAxes(
  { node, inputs: [x], outputs: [y], optional, attributes }: RuleContext,
  b: GraphBuilder,
): ResizedAxis[] {
  const mode = attributes.string('coordinate_transformation_mode', 'half_pixel');
  if (mode === 'tf_crop_and_resize') throw missingRule(node, 0, `coordinate_transformation_mode "${mode}"`);
  const policy = attributes.string('keep_aspect_ratio_policy', 'stretch');
  if (policy !== 'stretch') throw missingRule(node, 0, `keep_aspect_ratio_policy "${policy}"`);
  const rank = x.shape.length;
  const axes = attributes.ints('axes')?.map((axis) => normalAxis(axis, rank, `node ${node.name}`));
  const scales = optional(2);
  const sizes = optional(3);
  const numbers = scales && b.constantOf(scales);
  return (axes ?? x.shape.map((_, axis) => axis)).flatMap((axis, at): ResizedAxis[] => {
    if (sizes) return x.shape[axis] === y.shape[axis] ? [] : [{ axis, by: { size: sizesOf(b, y, [axis]) } }];
    if (Number(numbers?.data[at]) === 1) return [];
    return [{ axis, by: { scale: op.slice(b, scales!, { starts: [at], ends: [at + 1], axes: [0] }) } }];
  });
}

/** The matrix [n, m] of the map along one axis, from size n to m. */
function matrixOf(b: GraphBuilder, x: Value, { axis, by }: ResizedAxis, attributes: Attributes): Value {
  const size = sizesOf(b, x, [axis]);
  const square = op.concat(b, [size, size], 0);
  const zeros = op.expandTo(b, b.scalar(0, x.dtype), square);
  const unit = op.reshapeTo(b, b.node('EyeLike', [zeros])[0]!, op.concat(b, [b.int64([1, 1]), square], 0));
  const { axes: _, ...settings } = attributes;
  const fixed = op.concat(b, [b.int64([1, 1]), size], 0);
  const resized =
    'size' in by
      ? b.node('Resize', [unit, undefined, undefined, op.concat(b, [fixed, by.size], 0)], settings)[0]!
      : b.node('Resize', [unit, undefined, op.concat(b, [unitScales(b), by.scale], 0)], settings)[0]!;
  return op.reshapeTo(b, resized, sizesOf(b, resized, [2, 3]));
}

const unitScales = (b: GraphBuilder): Value =>
  b.constant({ dtype: 'float32', shape: [3], data: Float32Array.of(1, 1, 1) });

/** Whole factors, one per axis, where every element becomes a block; else undefined. */
function blocksOf(
  { inputs: [x], outputs: [y], optional, attributes }: RuleContext,
  b: GraphBuilder,
): number[] | undefined {
  const rounding = attributes.string('nearest_mode', 'round_prefer_floor');
  const isBlockwise =
    attributes.string('mode', 'nearest') === 'nearest' &&
    (attributes.string('coordinate_transformation_mode', 'half_pixel') === 'asymmetric'
      ? rounding === 'floor'
      : attributes.string('coordinate_transformation_mode', 'half_pixel') === 'half_pixel' &&
        rounding.startsWith('round'));
  if (!isBlockwise || attributes.has('axes')) return undefined;
  const factors = y.shape.map((dim, axis) => (dim === x.shape[axis] ? 1 : dimQuotient(dim, x.shape[axis]!)));
  const scales = optional(2) && !optional(3) ? b.constantOf(optional(2)!) : undefined;
  const isExact = factors.every(
    (f, axis) => typeof f === 'number' && (optional(3) ?? Number(scales?.data[axis]) === f),
  );
  const isSpatial = x.shape.length >= 3 && x.shape.length <= 5 && factors[0] === 1 && factors[1] === 1;
  return isExact && isSpatial ? (factors as number[]).slice(2) : undefined;
}

const resize: Rule = (context, b) => {
  const { node, inputs, g } = context;
  return [
    () => {
      const blocks = blocksOf(context, b);
      if (blocks) {
        const mean = op.averagePool(b, g, { kernelShape: blocks, strides: blocks });
        return op.mulScalar(
          b,
          mean,
          blocks.reduce((count, size) => count * size, 1),
        );
      }
      return resizedAxes(context, b).reduceRight((back, axis) => {
        const matrix = matrixOf(b, inputs[0], axis, node.attributes);
        return mapAxis(b, back, op.transposeMatrix(b, matrix), axis.axis);
      }, g);
    },
    undefined,
    undefined,
    undefined,
  ];
};

export const resizeRules: RuleTable = { Resize: resize };
