/**
 * @file Something to feed a stranger's model with: its symbolic sizes fixed, its inputs drawn from a seed or given.
 */
import { RefereeError, quoted } from '../../errors.ts';
import { STREAMS, normals, philoxKey } from '../../inversion/random.ts';
import { nearestName } from '../../inversion/suggest.ts';
import type { DType, Tensor } from '../../models/onnx/dtype.ts';
import { DTYPES, elementCount } from '../../models/onnx/dtype.ts';
import type { Value } from '../../models/onnx/graph.ts';
import { isUnknown } from '../../models/onnx/shapes.ts';
import { openSafetensors } from '../../models/weights/safetensors.ts';
import { hasDifferences } from './differences.ts';
import { tensorOfReals } from './reals.ts';

export interface FeedOptions {
  /** Sizes of symbolic dimensions: by symbol ("W"), or by input and axis ("x.3"). First axes are 1 if nothing is said. */
  readonly dims?: Readonly<Record<string, number>>;
  /** Inputs that hold one number everywhere. Without it whole numbers are 1 and truth values true. */
  readonly fill?: Readonly<Record<string, number>>;
  /** A safetensors file with inputs by name; the rest is drawn. */
  readonly feed?: string;
  readonly seed: number;
}

/** Real numbers are drawn from the normal distribution. */
export async function feedsFor(inputs: readonly Value[], options: FeedOptions): Promise<Map<string, Tensor>> {
  const { dims = {}, fill = {}, feed, seed } = options;
  checkNames(inputs, { dims, fill });
  const given = feed === undefined ? new Map<string, Tensor>() : await readFeeds(feed, inputs);
  const sizes = new Map(Object.entries(dims));
  for (const { name, shape } of inputs) {
    const size = given.get(name)?.shape;
    shape.forEach((dim, axis) => {
      if (size && typeof dim === 'string' && !dim.includes('*')) sizes.set(dim, size[axis]!);
    });
  }
  return new Map(
    inputs.map((input, at) => {
      const known = given.get(input.name);
      if (known) return [input.name, known];
      const shape = sizesOf(input, sizes);
      const value = Object.hasOwn(fill, input.name) ? fill[input.name] : undefined;
      return [input.name, value === undefined ? drawn(input, shape, seed, at) : filled(input, shape, value)];
    }),
  );
}

/** Normal numbers of a tensor's type, the same for the same seed and place. */
export function randomTensor(dtype: DType, shape: readonly number[], seed: number, stream: number): Tensor {
  const values = normals({ key: philoxKey(seed), stream: STREAMS.initialLatent, step: stream }, elementCount(shape));
  return tensorOfReals(dtype, shape, values);
}

/** A shape as large as this is a typing error rather than a wish. */
const MOST_ELEMENTS = 2 ** 28;

function sizesOf({ name, shape }: Value, sizes: ReadonlyMap<string, number>): number[] {
  const found = shape.map((dim, axis) => {
    if (typeof dim === 'number') return dim;
    const whole = sizes.get(`${name}.${axis}`) ?? sizes.get(dim);
    if (whole !== undefined) return whole;
    const factors = dim.split('*').map((factor) => (/^\d+$/.test(factor) ? Number(factor) : sizes.get(factor)));
    if (factors.every((factor) => factor !== undefined)) return factors.reduce((a, b) => a * b, 1);
    if (axis === 0) return 1;
    const which = isUnknown(dim) ? `${name}.${axis}` : dim;
    throw new RefereeError(
      'InvalidOption',
      `input ${quoted(name)}: the size ${quoted(which)} of axis ${axis} is open`,
      {
        hint: `fix it, such as --dims ${which}=64`,
      },
    );
  });
  if (elementCount(found) <= MOST_ELEMENTS) return found;
  throw new RefereeError('InvalidOption', `input ${quoted(name)}: shape [${found.join(', ')}] is too large to check`);
}

function drawn({ dtype, name }: Value, shape: readonly number[], seed: number, at: number): Tensor {
  if (hasDifferences(dtype)) return randomTensor(dtype, shape, seed, at);
  if (DTYPES[dtype].isFloat) throw notChecked(name, dtype);
  return filled({ dtype, name }, shape, 1);
}

function filled({ dtype, name }: Pick<Value, 'dtype' | 'name'>, shape: readonly number[], value: number): Tensor {
  const { array, isFloat, bytes } = DTYPES[dtype];
  if (isFloat && !hasDifferences(dtype)) throw notChecked(name, dtype);
  if (isFloat) return tensorOfReals(dtype, shape, new Float64Array(elementCount(shape)).fill(value));
  const data = new array(new ArrayBuffer(elementCount(shape) * bytes), 0, elementCount(shape));
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) data.fill(BigInt(Math.trunc(value)));
  else data.fill(value);
  return { dtype, shape, data };
}

/** The error of a tensor whose type is too coarse for differences, or unknown to our numbers. */
export function notChecked(name: string, dtype: string): RefereeError {
  return new RefereeError(
    'InvalidInput',
    `${quoted(name)} is ${dtype}: central differences need float16, float32 or float64, leave --check out`,
  );
}

function checkNames(inputs: readonly Value[], { dims, fill }: Required<Pick<FeedOptions, 'dims' | 'fill'>>): void {
  const names = inputs.map(({ name }) => name);
  const known = inputs.flatMap(({ name, shape }) =>
    shape.flatMap((dim, axis) => (typeof dim === 'string' ? [`${name}.${axis}`, ...dim.split('*')] : [])),
  );
  refuseUnknown('dims', Object.keys(dims), known, 'symbolic dimension');
  refuseUnknown('fill', Object.keys(fill), names, 'input');
}

function refuseUnknown(flag: string, asked: readonly string[], known: readonly string[], what: string): void {
  const wanted = asked.find((name) => !known.includes(name));
  if (wanted === undefined) return;
  const listed = [...new Set(known)].filter((name) => !isUnknown(name) && !/^\d+$/.test(name));
  const nearest = nearestName(wanted, listed);
  const there =
    nearest === undefined ? `there are ${listed.slice(0, 8).join(', ') || 'none'}` : `did you mean ${quoted(nearest)}?`;
  throw new RefereeError('InvalidOption', `--${flag}: no ${what} is called ${quoted(wanted)}, ${there}`);
}

async function readFeeds(path: string, inputs: readonly Value[]): Promise<Map<string, Tensor>> {
  await using file = await openSafetensors(path);
  const found = new Map<string, Tensor>();
  for (const name of file.tensors.keys()) {
    const input = inputs.find((value) => value.name === name);
    if (!input) throw new RefereeError('InvalidInput', `${path}: the model has no input ${quoted(name)}`);
    found.set(name, await file.read(name));
  }
  return found;
}
