/**
 * @file Operators that move elements: the cotangent goes the way back.
 */
import type { GraphBuilder } from '../../onnx/builder.ts';
import type { Attributes, Value } from '../../onnx/graph.ts';
import { int } from '../../onnx/graph.ts';
import * as op from '../../onnx/ops.ts';
import { normalAxis } from '../../onnx/shapes.ts';
import type { Contribution, Rule, RuleContext, RuleTable } from '../rule.ts';
import { unbroadcast } from '../broadcast.ts';
import { addAtFlat, flatPositions } from '../scatter.ts';
import { reshapeLike, sizesOf } from '../sizes.ts';

const reshaped: Rule = ({ inputs: [x], g }, b) => [() => reshapeLike(b, g, x), undefined];

const transpose: Rule = ({ inputs: [x], g, attributes }, b) => {
  const perm = attributes.ints('perm') ?? x.shape.map((_, axis) => x.shape.length - 1 - axis);
  return [
    () =>
      op.transpose(
        b,
        g,
        perm.map((_, axis) => perm.indexOf(axis)),
      ),
  ];
};

/** Each input gets its range of the axis; where it begins is a sum of sizes. */
const concat: Rule = ({ node, inputs, g, attributes }, b) => {
  const axis = normalAxis(attributes.int('axis', 0), g.shape.length, `node ${node.name}`);
  const ends: Value[] = [];
  const end = (at: number): Value => {
    if (at < 0) return b.int64([0]);
    ends[at] ??= addSizes(b, end(at - 1), sizesOf(b, inputs[at]!, [axis]));
    return ends[at];
  };
  return inputs.map(
    (_, at): Contribution =>
      () =>
        b.node('Slice', [g, end(at - 1), end(at), b.int64([axis])])[0]!,
  );
};

function addSizes(b: GraphBuilder, x: Value, y: Value): Value {
  const [one, two] = [b.dimsOf(x)?.[0], b.dimsOf(y)?.[0]];
  return typeof one === 'number' && typeof two === 'number' ? b.int64([one + two]) : op.add(b, x, y);
}

const split: Rule = ({ outputs, gradients, attributes }, b) => [
  () =>
    op.concat(
      b,
      outputs.map((part, at) => gradients[at] ?? op.zerosLike(b, part)),
      attributes.int('axis', 0),
    ),
  undefined,
];

/** The way back through Tile: [r1 d1, r2 d2, ...] seen as [r1, d1, r2, d2, ...], summed over the repeats. */
const tile: Rule = ({ inputs: [x, repeats], g }, b) => [
  () => {
    const sizes = op.shape(b, x);
    const pairs = op.concat(b, [op.unsqueeze(b, repeats, [1]), op.unsqueeze(b, sizes, [1])], 1);
    const counts = b.dimsOf(repeats);
    const isKnown = counts?.every((count) => typeof count === 'number') && x.shape.every((d) => typeof d === 'number');
    const vector = isKnown
      ? b.int64(x.shape.flatMap((dim, axis) => [counts[axis] as number, dim]))
      : op.reshapeTo(b, pairs, b.int64([2 * x.shape.length]));
    return op.reduceSum(b, op.reshapeTo(b, g, vector), { axes: x.shape.map((_, axis) => 2 * axis), keepdims: false });
  },
  undefined,
];

const cumSum: Rule = ({ inputs: [, axis], g, attributes }, b) => {
  const flipped: Attributes = {
    exclusive: int(attributes.int('exclusive', 0)),
    reverse: int(1 - attributes.int('reverse', 0)),
  };
  return [() => b.node('CumSum', [g, axis], flipped)[0]!, undefined];
};

const trilu: Rule = ({ node, optional, g }, b) => [
  () => b.node('Trilu', [g, optional(1)], node.attributes)[0]!,
  undefined,
];

/** Both orders of depth, by their axes: [n, (b1 b2 c | c b1 b2), h, w] <-> [n, c, h b1, w b2]. */
const depthToSpace: Rule = ({ inputs: [x], g, attributes }, b) => [
  () => {
    const block = attributes.int('blocksize', 1);
    if (attributes.string('mode', 'DCR') === 'DCR') return b.node('SpaceToDepth', [g], { blocksize: int(block) })[0]!;
    const [n, c, h, w] = [0, 1, 2, 3].map((axis) => sizesOf(b, axis === 1 ? g : x, [axis]));
    const blocks = b.int64([block]);
    const apart = op.reshapeTo(b, g, op.concat(b, [n!, c!, h!, blocks, w!, blocks], 0));
    return reshapeLike(b, op.transpose(b, apart, [0, 1, 3, 5, 2, 4]), x);
  },
];

const spaceToDepth: Rule = ({ g, attributes }, b) => [
  () => b.node('DepthToSpace', [g], { blocksize: int(attributes.int('blocksize', 1)) })[0]!,
];

/** The elements' numbers, compressed alike, tell where each came from. */
const compress: Rule = ({ node, inputs: [x, condition], g }, b) => [
  () => {
    const [positions] = b.node('Compress', [flatPositions(b, x), condition], node.attributes);
    return addAtFlat(b, g, { positions: positions!, like: x });
  },
  undefined,
];

/** Turned round once more, the elements are where they were. */
const reverseSequence: Rule = ({ node, inputs: [, lengths], g }, b) => [
  () => b.node('ReverseSequence', [g, lengths], node.attributes)[0]!,
  undefined,
];

export const movementRules: RuleTable = {
  Reshape: reshaped,
  Flatten: reshaped,
  Squeeze: reshaped,
  Unsqueeze: reshaped,
  Transpose: transpose,
  Concat: concat,
  Split: split,
  Expand: ({ inputs: [x], g }: RuleContext, b: GraphBuilder) => [() => unbroadcast(b, g, x), undefined],
  Tile: tile,
  CumSum: cumSum,
  Trilu: trilu,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  Compress: compress,
  ReverseSequence: reverseSequence,
};
