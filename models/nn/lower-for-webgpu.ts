/**
 * @file Operators that onnxruntime's WebGPU provider has no kernel for, or a wrong one, as operators that it has: left to the
 * CPU, each would wait for all that was computed before it, and copy images both ways. Done last, when everything is
 * differentiated.
 */
import type { GraphBuilder } from '../onnx/builder.ts';
import type { AttributeReader as Attributes, Graph, Node, Value } from '../onnx/graph.ts';
import { AttributeReader } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { besideNode, rewrite } from '../onnx/passes/rewrite.ts';
import type { Dim, Shape } from '../onnx/shapes.ts';
import { isStatic } from '../onnx/shapes.ts';

/**
 * The graph with every bilinear GridSample that pads with zeros, every LogSoftmax of the last axis, and every ConvTranspose
 * whose windows lie side by side, taken apart.
 */
export function lowerForWebgpu(graph: Graph): Graph {
  return rewrite(
    graph,
    (node, { b }) => {
      const value = besideNode(b, node, () => LOWERINGS[node.op]?.(b, node));
      return value && [value];
    },
    { operators: new Set(Object.keys(LOWERINGS)) },
  );
}

/** Undefined where a form of the operator is not covered: it stays. */
type Lowering = (b: GraphBuilder, node: Node) => Value | undefined;

const attributesOf = (node: Node): Attributes => new AttributeReader(node.attributes, `node ${node.name}`);

/** x - max - log(sum(exp(x - max))) */
const logSoftmax: Lowering = (b, node) => {
  const [x] = node.inputs as readonly [Value];
  const axis = attributesOf(node).int('axis', -1);
  if (axis !== -1 && axis !== x.shape.length - 1) return undefined;
  const shifted = op.sub(b, x, op.reduceMax(b, x, { axes: [-1] }));
  return op.sub(b, shifted, op.log(b, op.reduceSum(b, op.exp(b, shifted), { axes: [-1] })));
};

/**
 * A transposed convolution whose stride is its kernel, as the adjoint of a patch embedding is: no two windows overlap, and a
 * product places them. onnxruntime 1.30's kernel for it is wrong by half its values on an NVIDIA GPU, and right on a driver in
 * software.
 */
const sideBySide: Lowering = (b, node) => {
  const [x, weight, bias] = node.inputs as readonly [Value, Value, Value?];
  const sizes: Shape = x.shape.slice(2);
  if (weight.shape.length !== 4 || !isStatic(weight.shape) || !isStatic(sizes)) return undefined;
  const [ci, co, kh, kw] = weight.shape as readonly [number, number, number, number];
  const [h, w] = sizes as readonly [number, number];
  const attributes = attributesOf(node);
  const all = (name: string, isFine: (size: number, axis: number) => boolean): boolean =>
    attributes.ints(name)?.every(isFine) ?? true;
  const isCovered =
    attributes.int('group', 1) === 1 &&
    attributes.string('auto_pad', 'NOTSET') === 'NOTSET' &&
    !attributes.has('output_shape') &&
    attributes.has('strides') &&
    all('strides', (stride, axis) => stride === [kh, kw][axis]) &&
    all('dilations', (dilation) => dilation === 1) &&
    all('pads', (size) => size === 0) &&
    all('output_padding', (size) => size === 0);
  if (!isCovered) return undefined;
  const rows = op.transpose(b, op.reshape(b, weight, [ci, co * kh * kw]), [1, 0]);
  const windows = op.matMul(b, rows, op.reshape(b, x, [x.shape[0]!, ci, h * w]));
  // [N, Co, kh, kw, h, w] to [N, Co, h, kh, w, kw]; batch and channels are one axis, or it would have six.
  const apart = op.reshape(b, windows, [-1, kh, kw, h, w]);
  const placed = op.reshape(b, op.transpose(b, apart, [0, 3, 1, 4, 2]), node.outputs[0]!.shape);
  return bias ? op.add(b, placed, op.reshape(b, bias, [1, co, 1, 1])) : placed;
};

/** Where samples of one axis lie: in the image within a frame of zeros, which stands for all that is outside. */
interface Taps {
  /** Indices of the two pixels around every place, int32 [N, 1, P]. */
  readonly at: readonly [Value, Value];
  readonly weights: readonly [Value, Value];
}

const gridSample: Lowering = (b, node) => {
  const [x, grid] = node.inputs as readonly [Value, Value];
  const attributes = attributesOf(node);
  const [n, channels, height, width] = x.shape;
  const [, rows, columns] = grid.shape;
  const isCovered =
    x.dtype === 'float32' &&
    attributes.string('mode', 'linear') === 'linear' &&
    attributes.string('padding_mode', 'zeros') === 'zeros' &&
    [channels, height, width, rows, columns].every((size) => typeof size === 'number');
  if (!isCovered || x.shape.length !== 4) return undefined;
  const [c, h, w, places] = [channels as number, height as number, width as number, Number(rows) * Number(columns)];
  const isCornered = attributes.int('align_corners', 0) === 1;
  const [gridX, gridY] = op.split(b, grid, [1, 1], 3) as [Value, Value];
  const flat = (plane: Value): Value => op.reshape(b, plane, [n as Dim, 1, places]);
  const alongX = tapsOf(b, flat(gridX), w, isCornered);
  const alongY = tapsOf(b, flat(gridY), h, isCornered);
  const pairs = [0, 0, 1, 1].map((y, at) => [y, at % 2] as const);
  const indices = pairs.map(([y, right]) => op.add(b, op.mulScalar(b, alongY.at[y]!, w + 2), alongX.at[right]!));
  const weights = pairs.map(([y, right]) => op.mul(b, alongY.weights[y]!, alongX.weights[right]!));
  const framed = op.reshape(b, op.pad(b, x, [0, 0, 1, 1, 0, 0, 1, 1]), [n as Dim, c, (h + 2) * (w + 2)]);
  const perChannel = b.node('Expand', [op.concat(b, indices, 2), b.int64([1, c, 1])])[0]!;
  const taken = op.mul(b, op.gatherElements(b, framed, perChannel, 2), op.concat(b, weights, 2));
  const perTap = op.reshape(b, taken, [n as Dim, c, pairs.length, places]);
  return op.reshape(b, op.reduceSum(b, perTap, { axes: [2], keepdims: false }), node.outputs[0]!.shape);
};

/** Of coordinates -1..1 [N, 1, P] along an axis of `size` pixels, by the very operations with which GridSample finds places. */
function tapsOf(b: GraphBuilder, coordinates: Value, size: number, isCornered: boolean): Taps {
  const fromZero = op.addScalar(b, coordinates, 1);
  const place = isCornered
    ? op.mulScalar(b, op.divScalar(b, fromZero, 2), size - 1)
    : op.divScalar(b, op.subScalar(b, op.mulScalar(b, fromZero, size), 1), 2);
  const before = op.floor(b, place);
  const share = op.sub(b, place, before);
  const index = (offset: number): Value =>
    op.cast(b, op.clip(b, op.addScalar(b, before, offset), { min: 0, max: size + 1 }), 'int32');
  // The frame is one pixel wide.
  return { at: [index(1), index(2)], weights: [op.sub(b, b.scalar(1), share), share] };
}

const LOWERINGS: Readonly<Partial<Record<string, Lowering>>> = {
  LogSoftmax: logSoftmax,
  GridSample: gridSample,
  ConvTranspose: sideBySide,
};
