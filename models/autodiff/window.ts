/**
 * @file Geometry of convolutions and poolings: kernel, strides, dilations and pads per spatial axis.
 */
import { windowOf } from '../onnx/infer/products.ts';
import type { Value } from '../onnx/graph.ts';
import type { RuleContext } from './rule.ts';

export interface WindowAxis {
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  /** Padding before and after. */
  readonly begin: number;
  readonly end: number;
  /** Elements from the first to the last tap. */
  readonly extent: number;
}

/** One entry per spatial axis of `x`. */
export function windowAxes(context: RuleContext, kernel: readonly number[], x: Value): readonly WindowAxis[] {
  const { strides, dilations, pads } = windowOf(
    { attributes: context.attributes, where: `node ${context.node.name}` },
    kernel,
    x.shape.slice(2),
  );
  return kernel.map((size, axis) => ({
    kernel: size,
    stride: strides[axis]!,
    dilation: dilations[axis]!,
    begin: pads[axis]!,
    end: pads[axis + kernel.length]!,
    extent: (size - 1) * dilations[axis]! + 1,
  }));
}

/** Begins of all axes, then ends, as ONNX orders them. */
export function padsOf(axes: readonly Pick<WindowAxis, 'begin' | 'end'>[]): number[] {
  return [...axes.map((axis) => axis.begin), ...axes.map((axis) => axis.end)];
}
