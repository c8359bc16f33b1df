/**
 * @file Resizing and sampling of images.
 */
import type { GraphBuilder } from '../builder.ts';
import { float32 } from '../dtype.ts';
import type { Attributes, Value } from '../graph.ts';
import { float, int, text } from '../graph.ts';
import type { Dim } from '../shapes.ts';

export interface ResizeOptions {
  readonly mode?: 'nearest' | 'linear' | 'cubic';
  readonly coordinateTransformationMode?: 'half_pixel' | 'asymmetric' | 'align_corners' | 'pytorch_half_pixel';
  readonly nearestMode?: 'floor' | 'round_prefer_floor' | 'round_prefer_ceil' | 'ceil';
  readonly cubicCoeffA?: number;
  readonly antialias?: boolean;
  readonly excludeOutside?: boolean;
}

/** To these sizes, one per axis. */
export function resize(b: GraphBuilder, x: Value, sizes: readonly Dim[], options: ResizeOptions = {}): Value {
  return b.node('Resize', [x, undefined, undefined, b.shapeVector(sizes)], resizeAttributes(options))[0]!;
}

/** By these factors, one per axis. */
export function resizeBy(b: GraphBuilder, x: Value, scales: readonly number[], options: ResizeOptions = {}): Value {
  return b.node('Resize', [x, undefined, b.constant(float32(scales), 'scales')], resizeAttributes(options))[0]!;
}

function resizeAttributes(options: ResizeOptions): Attributes {
  const { mode = 'nearest', coordinateTransformationMode = 'half_pixel', nearestMode = 'round_prefer_floor' } = options;
  return {
    mode: text(mode),
    coordinate_transformation_mode: text(coordinateTransformationMode),
    nearest_mode: text(nearestMode),
    cubic_coeff_a: float(options.cubicCoeffA ?? -0.75),
    antialias: int(options.antialias ? 1 : 0),
    exclude_outside: int(options.excludeOutside ? 1 : 0),
  };
}

export interface GridSampleOptions {
  readonly mode?: 'linear' | 'nearest' | 'cubic';
  readonly paddingMode?: 'zeros' | 'border' | 'reflection';
  readonly alignCorners?: boolean;
}

/** x [N, C, H, W] sampled at grid [N, H', W', 2] of (x, y) in -1..1. */
export function gridSample(b: GraphBuilder, x: Value, grid: Value, options: GridSampleOptions = {}): Value {
  const { mode = 'linear', paddingMode = 'zeros', alignCorners = false } = options;
  return b.node('GridSample', [x, grid], {
    mode: text(mode),
    padding_mode: text(paddingMode),
    align_corners: int(alignCorners ? 1 : 0),
  })[0]!;
}
