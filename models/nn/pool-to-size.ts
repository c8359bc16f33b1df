/**
 * @file (adaptive average + adaptive maximum pooling) / 2, the first stage of the cutouts. Window i of n over m pixels is
 * floor(i m / n) up to, not including, ceil((i + 1) m / n), so neighbouring windows may share pixels.
 *
 * The average is two products with constant matrices. The maximum goes axis by axis: where windows overlap or differ in
 * length their pixels are gathered first (static indices; a short window repeats its last pixel), then it is a MaxPool.
 * Columns first, then rows: the first of equal pixels in reading order wins, as in torch.
 */
import type { GraphBuilder } from '../onnx/builder.ts';
import { float32, int64 } from '../onnx/dtype.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { RefereeError } from '../../errors.ts';
import { lastNode, type OwnAdjoint, type WithAdjoints } from './own-adjoint.ts';

/** x [B, C, H, W] with known H and W to [B, C, size, size]. The image itself where it has that size already. */
export function poolToSize(b: GraphBuilder, x: Value, size: number): WithAdjoints {
  const [, , height, width] = x.shape;
  if (typeof height !== 'number' || typeof width !== 'number') {
    throw new RefereeError('InvalidModel', `pooling of ${x.name}: the height and width of the image must be known`);
  }
  if (height === size && width === size) return { output: x, adjoints: [] };
  const adjoints: OwnAdjoint[] = [];
  const average = averageRows(b, averageColumns(b, x, windows(width, size)), windows(height, size));
  const wide = maximum(b, x, { axis: 3, windows: windows(width, size) }, adjoints);
  const highest = maximum(b, wide, { axis: 2, windows: windows(height, size) }, adjoints);
  return { output: op.mulScalar(b, op.add(b, average, highest), 0.5), adjoints };
}

interface Window {
  readonly start: number;
  readonly end: number;
}

interface Windows {
  /** m */
  readonly pixels: number;
  readonly all: readonly Window[];
}

function windows(pixels: number, size: number): Windows {
  const all = Array.from({ length: size }, (_, i) => ({
    start: Math.floor((i * pixels) / size),
    end: Math.ceil(((i + 1) * pixels) / size),
  }));
  return { pixels, all };
}

/** x [..., m] times the matrix [m, n] whose column i averages window i. */
function averageColumns(b: GraphBuilder, x: Value, { pixels, all }: Windows): Value {
  if (pixels === all.length) return x;
  const matrix = new Float32Array(pixels * all.length);
  all.forEach(({ start, end }, i) => {
    for (let at = start; at < end; at += 1) matrix[at * all.length + i] = 1 / (end - start);
  });
  return op.matMul(b, x, b.constant(float32(matrix, [pixels, all.length]), 'averageWindows'));
}

/** The constant matrix stays the right operand: then a lane's bytes do not depend on the number of lanes. */
function averageRows(b: GraphBuilder, x: Value, rows: Windows): Value {
  if (rows.pixels === rows.all.length) return x;
  return op.transposeMatrix(b, averageColumns(b, op.transposeMatrix(b, x), rows));
}

interface MaximumOptions {
  readonly axis: 2 | 3;
  readonly windows: Windows;
}

function maximum(
  b: GraphBuilder,
  x: Value,
  { axis, windows: { pixels, all } }: MaximumOptions,
  adjoints: OwnAdjoint[],
): Value {
  const taps = Math.max(...all.map(({ start, end }) => end - start));
  if (taps === 1) return x;
  const indices = all.flatMap(({ start, end }) =>
    Array.from({ length: taps }, (_, tap) => Math.min(start + tap, end - 1)),
  );
  const isPartition = indices.length === pixels && indices.every((index, at) => index === at);
  const gathered = isPartition ? { output: x, adjoints: [] } : gatherAlong(b, x, indices, axis);
  adjoints.push(...gathered.adjoints);
  const kernelShape = axis === 3 ? [1, taps] : [taps, 1];
  const highest = op.maxPool(b, gathered.output, { kernelShape, strides: kernelShape });
  adjoints.push({ node: lastNode(b, highest), adjoint: firstHighest({ x: gathered.output, highest, axis, taps }) });
  return highest;
}

interface Highest {
  readonly x: Value;
  /** The maximum of every window of `taps` along `axis` of x. */
  readonly highest: Value;
  readonly axis: 2 | 3;
  readonly taps: number;
}

/**
 * The cotangent of a window goes to the first of its highest pixels: comparisons and a minimum of positions. MaxPool would
 * tell the positions itself, but not on WebGPU, and adding at positions is slow there.
 */
function firstHighest({ x, highest, axis, taps }: Highest): OwnAdjoint['adjoint'] {
  const windowed = x.shape.flatMap((size, at) => (at === axis ? [highest.shape[axis]!, taps] : [size]));
  const column = axis === 3 ? [taps] : [taps, 1];
  return (into, cotangent) => [
    () => {
      const each = (value: Value): Value => op.unsqueeze(into, value, [axis + 1]);
      const isHighest = op.equal(into, op.reshape(into, x, windowed), each(highest));
      const order = into.constant(
        float32(
          Float32Array.from({ length: taps }, (_, tap) => tap),
          column,
        ),
        'taps',
      );
      const places = op.where(into, isHighest, order, into.scalar(taps));
      const isFirst = op.equal(into, places, op.reduceMin(into, places, { axes: [axis + 1] }));
      return op.reshape(into, op.where(into, isFirst, each(cotangent), into.scalar(0)), x.shape);
    },
  ];
}

/**
 * Gather with indices known now. Its adjoint is a gather too: for every source pixel the places that took it, as many
 * tables as the most popular pixel has places, an empty place being a zero appended to the cotangent. No scattered adds.
 */
function gatherAlong(b: GraphBuilder, x: Value, indices: readonly number[], axis: number): WithAdjoints {
  const output = op.gather(b, x, b.constant(int64(indices), 'maximumWindows'), axis);
  const places = Array.from({ length: x.shape[axis] as number }, (): number[] => []);
  indices.forEach((index, at) => places[index]!.push(at));
  const most = Math.max(...places.map((list) => list.length));
  const tables = Array.from({ length: most }, (_, k) => places.map((list) => list[k] ?? indices.length));
  const adjoint: OwnAdjoint['adjoint'] = (into, cotangent) => {
    const pads = Array.from({ length: 8 }, (_, at) => (at === 4 + axis ? 1 : 0));
    const take = (padded: Value, table: readonly number[]): Value =>
      op.gather(into, padded, into.constant(int64(table), 'windowPlaces'), axis);
    return [
      () => {
        const padded = op.pad(into, cotangent, pads);
        return op.sum(
          into,
          tables.map((table) => take(padded, table)),
        );
      },
      undefined,
    ];
  };
  return { output, adjoints: [{ node: lastNode(b, output), adjoint }] };
}
