/**
 * @file Holds a written gradient against the model that it came from: the model file itself, run by onnxruntime, moved a
 * little along random directions v. For random cotangents c, (c . f(x + hv) - c . f(x - hv)) / 2h = v . gradient, at x
 * where f is smooth, and in the mean along the way wherever it has a gradient at all (`path-mean.ts`).
 */
import { RefereeError } from '../../errors.ts';
import { describeModel } from '../../models/onnx/describe-model.ts';
import type { Tensor } from '../../models/onnx/dtype.ts';
import { DTYPES } from '../../models/onnx/dtype.ts';
import { freeInitializers } from '../../models/onnx/free-initializers.ts';
import type { Initializer } from '../../models/onnx/graph.ts';
import { RANDOM_OPERATORS } from '../../models/onnx/random-operators.ts';
import type { Session } from '../../models/runtime/device.ts';
import type { DeviceOptions } from '../../models/runtime/node-device.ts';
import { openDevice } from '../../models/runtime/node-device.ts';
import { feedsFor, notChecked, randomTensor } from './check-inputs.ts';
import type { FeedOptions } from './check-inputs.ts';
import { checkDirections } from './check-directions.ts';
import type { CheckedDirection } from './check-directions.ts';
import { hasDifferences } from './differences.ts';
import { GradientRuns } from './gradient-runs.ts';
import { bytesOf } from './place-weights.ts';
import { realsOf } from './reals.ts';
import type { WrittenGradient } from './write-gradient.ts';

export interface GradientCheckOptions extends Omit<FeedOptions, 'seed'> {
  readonly seed?: number;
  /** Random directions per name of `wrt`. Default 2. */
  readonly directions?: number;
  /** Allowed error of a derivative, relative to its usual size. Default 0.01: what float32 leaves of differences; 0.05 for models with half precision. */
  readonly tolerance?: number;
  readonly device?: DeviceOptions;
}

export interface GradientCheckReport {
  readonly provider: string;
  readonly seed: number;
  readonly tolerance: number;
  /** Shapes that were fed. */
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  /** Largest difference between an output of the written file and of the model, over the output's largest magnitude. */
  readonly outputError: number;
  readonly directions: readonly CheckedDirection[];
  readonly ok: boolean;
}

const DEFAULT_TOLERANCE = 1e-2;
/** Of a model with half precision anywhere: a thousandth is rounded away at each of its nodes. */
const HALF_TOLERANCE = 5e-2;
/** Outputs of one model with and without gradients: different fusions, the same numbers to rounding. */
const OUTPUT_TOLERANCE = 1e-3;

/** Random numbers of inputs come first; no model has as many. */
const COTANGENTS = 1_000_000;

type Tensors = ReadonlyMap<string, Tensor>;

/** @throws RefereeError for a model that onnxruntime refuses or that draws numbers, sizes that are open, types that are too coarse */
export async function checkGradient(
  written: WrittenGradient,
  options: GradientCheckOptions = {},
): Promise<GradientCheckReport> {
  const { source, graph, of, wrt } = written;
  const isHalf = holdsHalf(graph);
  const { seed = 0, tolerance = isHalf ? HALF_TOLERANCE : DEFAULT_TOLERANCE } = options;
  for (const { name, dtype } of [...of, ...wrt]) {
    if (!hasDifferences(dtype)) throw notChecked(name, dtype);
  }
  refuseRandom(graph);
  const feeds = await feedsFor(graph.inputs, { ...options, seed });
  const point = new Map(feeds);
  const free = graph.initializers.filter(({ value }) => wrt.includes(value));
  for (const [name, tensor] of fixedInputs(written)) point.set(name, tensor);
  const weights = new Map<string, Tensor>();
  for (const initializer of free) weights.set(initializer.value.name, await tensorOf(initializer));
  for (const [name, tensor] of weights) point.set(name, tensor);
  const freed = freeInitializers(
    source.bytes,
    free.map(({ value }) => value),
  );
  const device = await openDevice({ provider: 'cpu', ...options.device });
  try {
    const model = await device.load(freed, { name: source.name, weightsRoot: source.folder });
    const before = await run(model, point);
    const cotangents = new Map(
      of.map(({ name, dtype }, at) => [name, randomTensor(dtype, before.get(name)!.shape, seed, COTANGENTS + at)]),
    );
    const gradients = await GradientRuns.open(device, written, { feeds, weights, cotangents });
    const after = await gradients.all();
    const directions = await checkDirections({
      ...options,
      model,
      wrt,
      point,
      after,
      gradients,
      cotangents,
      seed,
      tolerance,
    });
    const outputError = largestError(before, after);
    return {
      provider: device.provider,
      seed,
      tolerance,
      inputs: Object.fromEntries([...feeds].map(([name, { shape }]) => [name, shape])),
      outputError,
      directions,
      ok:
        outputError <= (isHalf ? HALF_TOLERANCE : OUTPUT_TOLERANCE) &&
        directions.every(({ verdict }) => verdict === 'agrees'),
    };
  } finally {
    await device.close();
  }
}

async function run(session: Session, feeds: Tensors): Promise<Map<string, Tensor>> {
  return new Map(Object.entries(await session.run(Object.fromEntries(feeds))));
}

async function tensorOf(initializer: Initializer): Promise<Tensor> {
  const { value, data } = initializer;
  if (data) return data;
  const { array, bytes } = DTYPES[value.dtype];
  const whole = new Uint8Array(initializer.external.length);
  let at = 0;
  for await (const chunk of bytesOf(initializer)) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return { dtype: value.dtype, shape: value.shape as readonly number[], data: new array(whole.buffer, 0, at / bytes) };
}

/** Inputs of the file whose values were fixed: the written file has them no more, the model itself still wants them. */
function fixedInputs({ source, graph }: WrittenGradient): Map<string, Tensor> {
  const names = new Set(describeModel(source.bytes).inputs.map(({ name }) => name));
  return new Map(
    graph.initializers.flatMap(({ value, data }) => (data && names.has(value.name) ? [[value.name, data]] : [])),
  );
}

/** Differences between two runs would be those of the numbers drawn. */
function refuseRandom({ nodes }: WrittenGradient['graph']): void {
  const random = nodes.find(({ op, domain }) => domain === '' && RANDOM_OPERATORS.has(op));
  if (!random) return;
  throw new RefereeError(
    'InvalidInput',
    `node ${random.name} (${random.op}) draws other numbers in every run: differences tell nothing, leave --check out`,
  );
}

/** Whether any number of the model is held in half precision. */
function holdsHalf({ inputs, nodes }: WrittenGradient['graph']): boolean {
  return [...inputs, ...nodes.flatMap(({ outputs }) => outputs)].some(({ dtype }) => /float16$/.test(dtype));
}

/** Over the outputs that both have; infinite where numbers are missing or not finite on one side alone. */
function largestError(before: Tensors, after: Tensors): number {
  let largest = 0;
  for (const [name, tensor] of before) {
    const other = after.get(name);
    if (other?.data.length !== tensor.data.length) return Infinity;
    if (DTYPES[tensor.dtype].isFloat && !hasDifferences(tensor.dtype)) continue;
    const [data, others] = [realsOf(tensor), realsOf(other)];
    let [error, magnitude] = [0, 0];
    data.forEach((x: number, at: number) => {
      const y = others[at]!;
      const difference = Object.is(x, y) ? 0 : Math.abs(x - y);
      error = Math.max(error, Number.isNaN(difference) ? Infinity : difference);
      if (Number.isFinite(x)) magnitude = Math.max(magnitude, Math.abs(x));
    });
    largest = Math.max(largest, error === 0 ? 0 : error / magnitude);
  }
  return largest;
}
