/**
 * @file Single layers, forward and input gradient, beside PyTorch: the same inputs on the same machine in the same run,
 * turn by turn, one thread on both sides. Results are compared before times are. In a step results stay in the runtime, so
 * a graph that is timed hands over one number of each; one that hands over all is compared first.
 *
 * Usage: tsx bench/layers.ts [--repeats 15] [--compile] [--python <interpreter that has torch and safetensors>]
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { z } from 'zod';

import { vjpOrZeros } from '../models/autodiff/differentiate.ts';
import { attention } from '../models/nn/attention.ts';
import type { OwnAdjoint } from '../models/nn/own-adjoint.ts';
import { warp } from '../models/nn/warp.ts';
import { GraphBuilder } from '../models/onnx/builder.ts';
import { elementCount, float32, type Tensor } from '../models/onnx/dtype.ts';
import type { Value } from '../models/onnx/graph.ts';
import * as op from '../models/onnx/ops.ts';
import { writeModel } from '../models/onnx/protobuf.ts';
import { adjointRules, finished } from '../models/packs/kernels.ts';
import { openDevice } from '../models/runtime/node-device.ts';
import { writeSafetensors } from '../models/weights/write.ts';
import { machine, median } from './machine.ts';
import { openPyTorch, type PyTorchMode } from './pytorch.ts';

const { values: flags } = parseArgs({
  options: {
    repeats: { type: 'string', default: '15' },
    // Compiling takes minutes where processors are busy.
    compile: { type: 'boolean', default: false },
    python: { type: 'string' },
  },
});
const repeats = Number(flags.repeats);
const modes: readonly PyTorchMode[] = flags.compile ? ['eager', 'compile'] : ['eager'];
/** Sums of products on both sides may differ by rounding; a wrong gradient is off by far more. */
const TOLERANCE = 1e-3;

const answerSchema = z.strictObject({ seconds: z.number(), output: z.number(), gradient: z.number() });

interface Layer {
  readonly name: string;
  readonly what: string;
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** Output, and adjoints that the layer brings along. */
  readonly append: (b: GraphBuilder, x: Value) => { readonly output: Value; readonly adjoints?: readonly OwnAdjoint[] };
}

const TURN = [0.96, -0.2, 6, 0.2, 0.96, -5, 0, 0, 1];
const weights: Readonly<Record<string, Tensor>> = {
  kernel: uniform([128, 128, 3, 3], 1),
  query: uniform([256, 256], 2),
  key: uniform([256, 256], 3),
  value: uniform([256, 256], 4),
  scale: uniform([128], 5),
  bias: uniform([128], 6),
};

const LAYERS: readonly Layer[] = [
  {
    name: 'convolution',
    what: '3x3 convolution, 128 channels, 64x64',
    inputs: { x: uniform([1, 128, 64, 64], 7), weight: weights['kernel']! },
    append: (b, x) => ({ output: op.conv(b, x, b.constant(weights['kernel']!), undefined, { pads: [1, 1, 1, 1] }) }),
  },
  {
    name: 'attention',
    what: 'attention with its three projections, 8 heads of 32, 4 x 256 tokens',
    inputs: {
      x: uniform([4, 256, 256], 8),
      query: weights['query']!,
      key: weights['key']!,
      value: weights['value']!,
    },
    append: (b, x) => {
      const rows = op.reshape(b, x, [1024, 256]);
      const projected = (name: string): Value => {
        const product = op.gemm(b, rows, b.constant(weights[name]!), undefined, { transB: true });
        return op.reshape(b, product, [4, 256, 256]);
      };
      return {
        output: attention(b, { query: projected('query'), key: projected('key'), value: projected('value'), heads: 8 }),
      };
    },
  },
  {
    name: 'group norm',
    what: 'group normalisation, 32 groups, 128 channels, 64x64',
    inputs: { x: uniform([1, 128, 64, 64], 9), scale: weights['scale']!, bias: weights['bias']! },
    append: (b, x) => {
      const [scale, bias] = [b.constant(weights['scale']!), b.constant(weights['bias']!)];
      return { output: op.groupNormalization(b, x, scale, bias, { numGroups: 32 }) };
    },
  },
  {
    name: 'warp',
    what: 'affine warp of ten images of 3 x 224 x 224 (places in float64 here, float32 there)',
    inputs: { x: uniform([10, 3, 224, 224], 10), inverse: repeated(TURN, 10) },
    append: (b, x) => {
      const inverse = b.constant({
        dtype: 'float64',
        shape: [10, 3, 3],
        data: Float64Array.from(repeated(TURN, 10).data as Float32Array),
      });
      const forward = b.constant(repeated(inverted(TURN), 10));
      return warp(b, x, { forward, inverse }, { kind: 'affine', window: 3 });
    },
  },
];

process.stdout.write(`${machine()}; one thread, median of ${repeats} calls in turn (smallest - largest)\n`);
const folder = await mkdtemp(join(tmpdir(), 'referee-bench-'));
await using pytorch = await openPyTorch('layers.py', flags.python);
process.stdout.write(
  `PyTorch ${pytorch.version}\n\n| ${['layer, forward and input gradient', 'here', ...modes, ...modes.flatMap((mode) => [`${mode} / here by medians`, 'by smallest'])].join(' | ')} |\n| --- ${'| --- '.repeat(1 + 3 * modes.length)}|\n`,
);
const device = await openDevice({ provider: 'cpu', threads: 1, memory: 'fast' });
try {
  for (const layer of LAYERS) await measure(layer);
} finally {
  await device.close();
  await rm(folder, { recursive: true, force: true });
}

async function measure(layer: Layer): Promise<void> {
  const whole = graphOf(layer, (_, value) => value);
  const x = layer.inputs['x']!;
  const cotangent = uniform(whole.outputShape, 99);
  const file = join(folder, `${layer.name.replace(' ', '-')}.safetensors`);
  await writeFile(file, writeSafetensors({ ...layer.inputs, cotangent }));
  const compared = await device.load(whole.model, { name: `compared ${layer.name}`, weightsRoot: '/' });
  const { output, gradient } = await compared.run({ x, cotangent });
  await compared.release();
  const own = { output: dot(output!, cotangent), gradient: dot(gradient!, x) };
  const session = await device.load(graphOf(layer, corner).model, { name: layer.name, weightsRoot: '/' });
  const times: Record<'here' | PyTorchMode, number[]> = { here: [], eager: [], compile: [] };
  // The first calls warm up, and compile.
  for (let call = -3; call < repeats; call += 1) {
    const before = await secondsOf(layer.name);
    await session.run({ x, cotangent });
    const seconds = (await secondsOf(layer.name)) - before;
    if (call >= 0) times.here.push(seconds);
    for (const mode of modes) {
      const answer = await pytorch.ask({ layer: layer.name, mode, file }, answerSchema);
      if ('error' in answer) continue;
      check(layer.name, own, answer);
      if (call >= 0) times[mode].push(answer.seconds);
    }
  }
  await session.release();
  const ratio = (mode: PyTorchMode, by: (values: readonly number[]) => number): string =>
    times[mode].length === 0 ? '-' : (by(times[mode]) / by(times.here)).toFixed(2);
  const ratios = modes.flatMap((mode) => [ratio(mode, median), ratio(mode, (values) => Math.min(...values))]);
  const cells = [layer.what, spread(times.here), ...modes.map((mode) => spread(times[mode])), ...ratios];
  process.stdout.write(`| ${cells.join(' | ')} |\n`);
}

/** Inside of the runtime, as PyTorch's are without the way through its pipe. */
async function secondsOf(session: string): Promise<number> {
  return (await device.stats()).sessions[session]?.seconds ?? 0;
}

/** Of output and gradient a graph hands over what `part` makes of them. */
function graphOf(
  { name, inputs, append }: Layer,
  part: (b: GraphBuilder, value: Value) => Value,
): { model: Uint8Array; outputShape: number[] } {
  const b = new GraphBuilder(name);
  const x = b.input('x', 'float32', inputs['x']!.shape);
  const { output, adjoints = [] } = append(b, x);
  const cotangent = b.input('cotangent', 'float32', output.shape);
  const overrides = adjointRules(b, 'cpu', adjoints);
  const [gradient] = vjpOrZeros(b, [{ value: output, cotangent }], [x], { overrides });
  b.output('output', part(b, output));
  b.output('gradient', part(b, gradient!));
  return { model: writeModel(finished(b.build(), 'cpu')), outputShape: output.shape.map(Number) };
}

type Sums = Readonly<Record<'output' | 'gradient', number>>;

function check(layer: string, own: Sums, theirs: Sums): void {
  for (const key of ['output', 'gradient'] as const) {
    const difference = Math.abs(own[key] - theirs[key]);
    if (difference > TOLERANCE * Math.max(1, Math.abs(theirs[key]))) {
      throw new Error(`${layer}: ${key}: ${own[key]} here, ${theirs[key]} in PyTorch`);
    }
  }
}

/** The first number alone. */
function corner(b: GraphBuilder, value: Value): Value {
  const all = (size: number): number[] => value.shape.map(() => size);
  return op.slice(b, value, { starts: all(0), ends: all(1), axes: value.shape.map((_, axis) => axis) });
}

function dot({ data }: Tensor, other: Tensor): number {
  return (data as Float32Array).reduce((sum, value, at) => sum + value * Number(other.data[at]), 0);
}

function spread(seconds: readonly number[]): string {
  if (seconds.length === 0) return '-';
  const ms = (value: number): string => (1000 * value).toFixed(1);
  return `${ms(median(seconds))} ms (${ms(Math.min(...seconds))} - ${ms(Math.max(...seconds))})`;
}

/** Numbers in -0.5..0.5 that depend on the seed alone. */
function uniform(shape: readonly number[], seed: number): Tensor {
  let state = seed * 2654435761;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  return float32(Float32Array.from({ length: elementCount(shape) }, next), shape);
}

function repeated(matrix: readonly number[], count: number): Tensor {
  return float32(Array.from({ length: count }, () => matrix).flat(), [count, 3, 3]);
}

/** Of an affine matrix, row-major. */
function inverted([a, b, c, d, e, f]: readonly number[]): number[] {
  const [p, q, u, r, s, v] = [a!, b!, c!, d!, e!, f!];
  const area = p * s - q * r;
  return [s / area, -q / area, (q * v - s * u) / area, -r / area, p / area, (r * u - p * v) / area, 0, 0, 1];
}
