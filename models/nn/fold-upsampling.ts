/**
 * @file Convolutions of enlarged images with fewer multiplications. After nearest-neighbour enlargement by two, output
 * pixel 2q + r of a convolution with kernel w [k] and padding p reads small pixels q + floor((r + t - p) / 2) for taps t:
 * one smaller convolution of the small image for each of the four phases r, whose kernels are sums of w's taps, and whose
 * results are interleaved (Shi et al. 2016, arXiv 1609.07009, read backwards). For 3x3 kernels that is 4/9 of the
 * multiplications. The adjoint sums blocks of a convolution's result: one convolution with a stride, whose kernel is w
 * summed over shifts. Done on finished graphs, forwards and backwards alike; the kernels are prepared when they are loaded.
 */
import type { GraphBuilder } from '../onnx/builder.ts';
import { float32 } from '../onnx/dtype.ts';
import type { Graph, Node, Value } from '../onnx/graph.ts';
import { AttributeReader } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import type { Rewriting } from '../onnx/passes/rewrite.ts';
import { besideNode, rewrite } from '../onnx/passes/rewrite.ts';

const OPERATORS = new Set(['Conv', 'AveragePool']);

/** The graph with every float32 convolution behind an enlargement by two, and before a mean of blocks, folded into one with it. */
export function foldUpsampling(graph: Graph): Graph {
  return rewrite(graph, (node, rewriting) => besideNode(rewriting.b, node, () => fold(node, rewriting)), {
    operators: OPERATORS,
  });
}

function fold(node: Node, rewriting: Rewriting): Value[] | undefined {
  if (node.op === 'Conv') return foldEnlarged(node, rewriting);
  if (node.op === 'AveragePool') return foldPooled(node, rewriting);
  return undefined;
}

interface PlainConv {
  readonly x: Value;
  /** [M, C / group, kernel...] */
  readonly w: Value;
  readonly bias: Value | undefined;
  readonly kernel: readonly [number, number];
  /** Begins of both axes, then ends. */
  readonly pads: readonly number[];
  readonly group: number;
}

/** A float32 convolution of images without stride, dilation and automatic padding; undefined for any other node. */
function plainConv(node: Node): PlainConv | undefined {
  const [x, w, bias] = node.inputs;
  if (node.op !== 'Conv' || x?.dtype !== 'float32' || w?.shape.length !== 4) return undefined;
  const attributes = new AttributeReader(node.attributes, node.name);
  const isOne = (name: string): boolean => attributes.ints(name)?.every((value) => value === 1) ?? true;
  if (!isOne('strides') || !isOne('dilations') || attributes.string('auto_pad', 'NOTSET') !== 'NOTSET')
    return undefined;
  if (!w.shape.every((size) => typeof size === 'number')) return undefined;
  const [, , height, width] = w.shape as readonly [number, number, number, number];
  const pads = attributes.ints('pads') ?? [0, 0, 0, 0];
  return { x, w, bias, kernel: [height, width], pads, group: attributes.int('group', 1) };
}

/** Conv(enlarged x) as four convolutions of x. */
function foldEnlarged(node: Node, rewriting: Rewriting): Value[] | undefined {
  const { b } = rewriting;
  const conv = plainConv(node);
  const enlargement = conv && rewriting.maker(conv.x);
  if (!conv || !enlargement || !isDoubling(enlargement)) return undefined;
  const { w, bias, kernel, pads, group } = conv;
  const isSame = kernel.every((k, axis) => k % 2 === 1 && pads[axis] === (k - 1) / 2 && pads[axis + 2] === (k - 1) / 2);
  if (!isSame || kernel.every((k) => k === 1)) return undefined;
  const small = enlargement.inputs[0]!;
  const phaseOf = (row: Phase, column: Phase): Value => {
    const taps = [row.length, column.length] as const;
    const folded = summed(b, w, {
      taps,
      weight: (at, t) => Number(row.tap(t[0]) === at[0] && column.tap(t[1]) === at[1]),
    });
    return op.conv(b, small, folded, bias, { pads: [row.begin, column.begin, row.end, column.end], group });
  };
  const [rows, columns] = kernel.map((k) => [phase(k, 0), phase(k, 1)]) as [Phase[], Phase[]];
  const lines = rows.map((row) => columns.map((column) => phaseOf(row, column)));
  return [interleaved(b, lines)];
}

/** Nearest-neighbour enlargement by two along both axes: pixel i comes from pixel floor(i / 2). */
function isDoubling(node: Node): boolean {
  if (node.op !== 'Resize') return false;
  const [x, y] = [node.inputs[0]!, node.outputs[0]!];
  const attributes = new AttributeReader(node.attributes, node.name);
  return (
    attributes.string('mode', 'nearest') === 'nearest' &&
    attributes.string('coordinate_transformation_mode', 'half_pixel') === 'asymmetric' &&
    attributes.string('nearest_mode', 'round_prefer_floor') === 'floor' &&
    x.shape.length === 4 &&
    x.shape.every((size, axis) => (axis < 2 ? y.shape[axis] === size : y.shape[axis] === 2 * Number(size)))
  );
}

/** Along one axis, for output pixels 2q + r: which small pixels a kernel of k taps reads. */
interface Phase {
  /** How many, with how much padding before the first and behind the last. */
  readonly length: number;
  readonly begin: number;
  readonly end: number;
  /** The one that tap t reads, from 0. */
  readonly tap: (t: number) => number;
}

function phase(k: number, r: 0 | 1): Phase {
  const offset = (t: number): number => Math.floor((r + t - (k - 1) / 2) / 2);
  const [first, last] = [offset(0), offset(k - 1)];
  return { length: last - first + 1, begin: -first, end: last, tap: (t) => offset(t) - first };
}

/** Results of the phases [rows][columns], each [B, C, h, w] -> [B, C, 2h, 2w]. Two columns at a time, then two rows. */
function interleaved(b: GraphBuilder, phases: readonly (readonly Value[])[]): Value {
  const [n, channels, height, width] = phases[0]![0]!.shape as [Value['shape'][number], number, number, number];
  const lines = phases.map((columns) => {
    const apart = columns.map((value) => op.reshape(b, value, [n, channels, height, width, 1]));
    return op.reshape(b, op.concat(b, apart, 4), [n, channels, height, 1, 2 * width]);
  });
  return op.reshape(b, op.concat(b, lines, 3), [n, channels, 2 * height, 2 * width]);
}

/** Means over the blocks of a convolution's result, as a convolution with the blocks' stride. */
function foldPooled(node: Node, rewriting: Rewriting): Value[] | undefined {
  const { b } = rewriting;
  const result = node.inputs[0]!;
  const made = rewriting.maker(result);
  const conv = made && plainConv(made);
  const attributes = new AttributeReader(node.attributes, node.name);
  const block = attributes.ints('kernel_shape') ?? [];
  const isBlocks =
    block.every((size, axis) => attributes.ints('strides')?.[axis] === size) &&
    (attributes.ints('pads') ?? []).every((pad) => pad === 0) &&
    (attributes.ints('dilations') ?? []).every((dilation) => dilation === 1) &&
    attributes.string('auto_pad', 'NOTSET') === 'NOTSET' &&
    attributes.int('ceil_mode', 0) === 0;
  if (!conv || !isBlocks || rewriting.readers(result) !== 1) return undefined;
  const { x, w, bias, kernel, pads, group } = conv;
  const taps = kernel.map((k, axis) => k + block[axis]! - 1) as [number, number];
  const count = block.reduce((product, size) => product * size, 1);
  if (taps[0] * taps[1] >= kernel[0] * kernel[1] * count) return undefined;
  const isHit = (at: number, t: number, axis: number): boolean => at >= t && at < t + block[axis]!;
  const weight: Taps['weight'] = (at, t) => (at.every((place, axis) => isHit(place, t[axis]!, axis)) ? 1 / count : 0);
  return [op.conv(b, x, summed(b, w, { taps, weight }), bias, { strides: block, pads, group })];
}

interface Taps {
  /** Size of the new kernel. */
  readonly taps: readonly [number, number];
  /** How much of the old kernel's tap `t` is in the new one's `at`; rows, then columns. */
  readonly weight: (at: readonly [number, number], t: readonly [number, number]) => number;
}

/** w [M, C, k, k] -> [M, C, taps...], every tap a weighted sum of w's: one product with a small matrix. */
function summed(b: GraphBuilder, w: Value, { taps, weight }: Taps): Value {
  const [m, channels, height, width] = w.shape as readonly [number, number, number, number];
  const matrix = grid(height, width).flatMap((t) => grid(...taps).map((at) => weight(at, t)));
  const selection = b.constant(float32(matrix, [height * width, taps[0] * taps[1]]), 'taps');
  const flat = op.reshape(b, w, [m * channels, height * width]);
  return op.reshape(b, op.matMul(b, flat, selection), [m, channels, ...taps]);
}

function grid(rows: number, columns: number): (readonly [number, number])[] {
  return Array.from({ length: rows * columns }, (_, at) => [Math.floor(at / columns), at % columns] as const);
}
