/**
 * @file Kinds of operators in a few classes, and how many operations a node is counted with where it is no product.
 */
import { sum } from './step-table.ts';
import type { GraphTime, NodeTime } from './node-profile.ts';

const CLASSES = {
  convolution: ['Conv', 'FusedConv', 'ConvTranspose'],
  'matrix product': ['MatMul', 'FusedMatMul', 'Gemm', 'FusedGemm', 'MultiHeadAttention', 'Attention'],
  normalisation: [
    'LayerNormalization',
    'SkipLayerNormalization',
    'SimplifiedLayerNormalization',
    'BatchNormalization',
    'InstanceNormalization',
    'GroupNormalization',
    'GroupNorm',
    'MeanVarianceNormalization',
  ],
  softmax: ['Softmax', 'LogSoftmax'],
  activation: [
    'Erf',
    'Exp',
    'Gelu',
    'FastGelu',
    'BiasGelu',
    'QuickGelu',
    'Sigmoid',
    'Tanh',
    'Log',
    'Sqrt',
    'Reciprocal',
    'Pow',
  ],
  movement: [
    ...[
      'Transpose',
      'ReorderInput',
      'ReorderOutput',
      'Slice',
      'Concat',
      'Split',
      'Expand',
      'Tile',
      'Pad',
      'Resize',
      'Upsample',
    ],
    ...[
      'Gather',
      'GatherElements',
      'GatherND',
      'ScatterElements',
      'ScatterND',
      'Cast',
      'Reshape',
      'Squeeze',
      'Unsqueeze',
    ],
    ...['DepthToSpace', 'SpaceToDepth', 'Identity', 'Flatten', 'MemcpyFromHost', 'MemcpyToHost'],
  ],
} as const;

export type OperatorClass = keyof typeof CLASSES | 'sum and pooling' | 'elementwise';

export interface ClassTime {
  readonly name: OperatorClass;
  readonly seconds: number;
  /** Of all nodes. */
  readonly share: number;
  readonly flops: number;
  readonly bytes: number;
}

export function classOf(op: string): OperatorClass {
  for (const [name, members] of Object.entries(CLASSES)) {
    if ((members as readonly string[]).includes(op)) return name as OperatorClass;
  }
  return /^Reduce|Pool$|^(Sum|CumSum)$/.test(op) ? 'sum and pooling' : 'elementwise';
}

/** Products as they are; what moves data none; everything else one operation for each element of its largest tensor. */
export function operations({ op, flops, inputs, outputs }: NodeTime): number {
  if (flops > 0) return flops;
  if (classOf(op) === 'movement') return 0;
  return Math.max(0, ...[...inputs, ...outputs].map((shape) => shape.reduce((product, size) => product * size, 1)));
}

/** Largest first. */
export function classTimes({ nodes, seconds: whole }: Pick<GraphTime, 'nodes' | 'seconds'>): ClassTime[] {
  return [...new Set(nodes.map(({ op }) => classOf(op)))]
    .map((name): ClassTime => {
      const of = nodes.filter(({ op }) => classOf(op) === name);
      const seconds = sum(of.map((node) => node.seconds));
      const [flops, bytes] = [sum(of.map(operations)), sum(of.map((node) => node.bytes))];
      return { name, seconds, share: seconds / whole, flops, bytes };
    })
    .sort((a, b) => b.seconds - a.seconds);
}
