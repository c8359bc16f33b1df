/**
 * @file Checks a model against recordings: a folder with a config, weights and `reference-*.safetensors` (what goes in,
 * what comes out, cotangents, gradients). Every recorded function is built, differentiated and run, and every recorded
 * tensor compared.
 */
import { basename, join } from 'node:path';

import { RefereeError, quoted } from '../errors.ts';
import { NamedInputs, modelFunctions } from '../models/architectures/functions.ts';
import { vjp } from '../models/autodiff/differentiate.ts';
import { Scope } from '../models/nn/scope.ts';
import type { WeightSource } from '../models/nn/scope.ts';
import { GraphBuilder } from '../models/onnx/builder.ts';
import type { Tensor } from '../models/onnx/dtype.ts';
import { isFloat } from '../models/onnx/dtype.ts';
import type { Graph, Value } from '../models/onnx/graph.ts';
import * as op from '../models/onnx/ops.ts';
import { writeModel } from '../models/onnx/protobuf.ts';
import type { Dim, Shape } from '../models/onnx/shapes.ts';
import type { Kernels } from '../models/packs/kernels.ts';
import { adjointRules, finished } from '../models/packs/kernels.ts';
import type { Device } from '../models/runtime/device.ts';
import type { DeviceOptions } from '../models/runtime/node-device.ts';
import { openDevice } from '../models/runtime/node-device.ts';
import type { SafetensorsFile } from '../models/weights/safetensors.ts';
import { openSafetensors } from '../models/weights/safetensors.ts';
import { CONFIG_FILE, modelWeights, readJson, referenceFiles } from './model-folder.ts';
import { kernelsOn } from './pack-models.ts';

/**
 * Allowed error over the largest magnitude of a tensor: ten times what PyTorch's float32 typically is from recordings that
 * were computed in float64 (1e-6 for outputs of models, 8e-6 for gradients of U-Nets).
 */
const DEFAULT_RTOL = { output: 1e-5, gradient: 8e-5 } as const;
/** For tensors that are zero everywhere. */
const DEFAULT_ATOL = 1e-7;

export interface CheckOptions {
  /** Relative to a tensor's largest magnitude. Default 1e-5 for outputs, 8e-5 for gradients. */
  readonly rtol?: number;
  /** Default 1e-7. */
  readonly atol?: number;
  /** File or folder of weights, where the folder's own are not meant. */
  readonly weights?: string;
  readonly device?: DeviceOptions;
}

export interface CheckRow {
  readonly function: string;
  /** "output.image", "gradient.latent" ... */
  readonly tensor: string;
  /** Largest |found - recorded|; infinite if one of the two is not finite and the other is. */
  readonly maxAbs: number;
  /** `maxAbs` over the largest recorded magnitude. */
  readonly maxRel: number;
  /** What `maxAbs` may be: atol + rtol times the largest recorded magnitude. */
  readonly tolerance: number;
  readonly ok: boolean;
}

export interface CheckReport {
  readonly folder: string;
  /** Class name of the model. */
  readonly model: string;
  /** File or folder that the weights were read from. */
  readonly weights: string;
  readonly provider: string;
  readonly rows: readonly CheckRow[];
  readonly ok: boolean;
}

/**
 * @throws RefereeError `InvalidInput`, `InvalidModel` or `InvalidWeights` for what cannot be read or is not supported;
 * a number outside its tolerance is no error but `ok: false`
 */
export async function checkFolder(folder: string, options: CheckOptions = {}): Promise<CheckReport> {
  const tolerance = { rtol: checkedTolerance('rtol', options.rtol), atol: checkedTolerance('atol', options.atol) };
  const references = await referenceFiles(folder);
  if (references.length === 0) {
    throw new RefereeError('InvalidInput', `${folder}: no recordings here, expected reference-<function>.safetensors`);
  }
  const where = join(folder, CONFIG_FILE);
  const config = await readJson(where);
  const source = await modelWeights(folder, options.weights);
  const device = await openDevice(options.device);
  try {
    const rows: CheckRow[] = [];
    const models = new Set<string>();
    for (const path of references) {
      await using reference = await openSafetensors(path);
      const model = reference.metadata['model'] ?? classOf(config, where);
      models.add(model);
      rows.push(...(await checkReference({ reference, model, config, where, source, device, tolerance })));
    }
    return {
      folder,
      model: [...models].join(', '),
      weights: source.label,
      provider: device.provider,
      rows,
      ok: rows.every((row) => row.ok),
    };
  } finally {
    await device.close();
  }
}

interface Tolerance {
  readonly rtol: number | undefined;
  readonly atol: number | undefined;
}

interface Recorded {
  readonly reference: SafetensorsFile;
  readonly model: string;
  readonly config: unknown;
  /** The config's file. */
  readonly where: string;
  readonly source: WeightSource;
  readonly device: Device;
  readonly tolerance: Tolerance;
}

async function checkReference(recorded: Recorded): Promise<CheckRow[]> {
  const { reference, device, tolerance } = recorded;
  const name = functionOf(reference);
  const tensors = await readAll(reference);
  const kernels = kernelsOn(device.provider);
  const graph = finished(buildReference(recorded, tensors, kernels), kernels);
  const session = await device.load(writeModel(graph), { name: `${recorded.model} ${name}`, weightsRoot: '/' });
  try {
    const feeds = Object.fromEntries(graph.inputs.map((input) => [input.name, tensors.get(input.name)!]));
    const results = await session.run(feeds);
    return graph.outputs.map((output) => {
      const row = compare(results[output.name]!, tensors.get(output.name)!, {
        where: `${reference.path}: ${output.name}`,
        kind: output.name.startsWith('output.') ? 'output' : 'gradient',
        tolerance,
      });
      return { function: name, tensor: output.name, ...row };
    });
  } finally {
    await session.release();
  }
}

/** A graph from the recorded inputs and cotangents to the recorded outputs and gradients, all under their names there. */
function buildReference(recorded: Recorded, tensors: ReadonlyMap<string, Tensor>, kernels: Kernels): Graph {
  const { reference, model, config, where, source } = recorded;
  const name = functionOf(reference);
  const functions = modelFunctions(model, config, where);
  const build = Object.hasOwn(functions, name) ? functions[name] : undefined;
  if (!build) {
    const known = Object.keys(functions).join(', ');
    const message = `function ${quoted(name)} of ${model} is not known, expected one of ${known}`;
    throw new RefereeError('InvalidInput', `${reference.path}: ${message}`);
  }
  const b = new GraphBuilder(name);
  const inputs = declareInputs(b, tensors);
  const usable = new Map([...inputs].map(([input, value]) => [input, computable(b, value)]));
  const outputs = build(b, new Scope(source), new NamedInputs(usable, reference.path));
  const outputOf = (kind: string, output: string): Value => {
    const value = Object.hasOwn(outputs, output) ? outputs[output] : undefined;
    if (value) return value;
    const message = `${quoted(`${kind}.${output}`)} is recorded, but ${name} has only ${Object.keys(outputs).join(', ')}`;
    throw new RefereeError('InvalidInput', `${reference.path}: ${message}`);
  };
  const recordedOutputs = namesBelow(tensors, 'output.');
  const gradients = namesBelow(tensors, 'gradient.');
  if (recordedOutputs.length + gradients.length === 0) {
    throw new RefereeError('InvalidInput', `${reference.path}: no outputs or gradients recorded`);
  }
  for (const output of recordedOutputs) b.output(`output.${output}`, outputOf('output', output));
  if (gradients.length === 0) return b.build();

  const cotangents = namesBelow(tensors, 'cotangent.').map((output) => {
    const value = outputOf('cotangent', output);
    return { value, cotangent: b.input(`cotangent.${output}`, 'float32', value.shape) };
  });
  const wrt = gradients.map((input) => {
    const value = inputs.get(input);
    if (value) return value;
    throw new RefereeError(
      'InvalidInput',
      `${reference.path}: "gradient.${input}" is recorded without "input.${input}"`,
    );
  });
  vjp(b, cotangents, wrt, { overrides: adjointRules(b, kernels) }).forEach((gradient, at) => {
    b.output(`gradient.${gradients[at]!}`, gradient ?? op.zerosLike(b, wrt[at]!));
  });
  return b.build();
}

/** Inputs whose leading sizes are equal share a symbol for it, so that the batch stays open as it is in a search. */
function declareInputs(b: GraphBuilder, tensors: ReadonlyMap<string, Tensor>): Map<string, Value> {
  const symbols = new Map<number, string>();
  const open = ([first, ...rest]: readonly number[]): Shape => {
    if (first === undefined) return [];
    if (first < 2) return [first, ...rest];
    const symbol: Dim = symbols.get(first) ?? (symbols.size === 0 ? 'B' : `B${symbols.size}`);
    symbols.set(first, symbol);
    return [symbol, ...rest];
  };
  const inputs = namesBelow(tensors, 'input.').map((name): [string, Value] => {
    const { dtype, shape } = tensors.get(`input.${name}`)!;
    return [name, b.input(`input.${name}`, dtype, open(shape))];
  });
  return new Map(inputs);
}

/** Recordings may hold other types than the models compute with. */
function computable(b: GraphBuilder, value: Value): Value {
  return op.cast(b, value, isFloat(value.dtype) ? 'float32' : 'int64');
}

interface Comparison {
  readonly where: string;
  readonly kind: keyof typeof DEFAULT_RTOL;
  readonly tolerance: Tolerance;
}

function compare(
  found: Tensor,
  recorded: Tensor,
  { where, kind, tolerance }: Comparison,
): Omit<CheckRow, 'function' | 'tensor'> {
  if (quoted(found.shape) !== quoted(recorded.shape)) {
    const message = `shape is ${quoted(found.shape)}, recorded ${quoted(recorded.shape)}`;
    throw new RefereeError('InvalidInput', `${where}: ${message}`);
  }
  let maxAbs = 0;
  let largest = 0;
  for (let i = 0; i < recorded.data.length; i += 1) {
    const [x, y] = [Number(found.data[i]!), Number(recorded.data[i]!)];
    const error = Object.is(x, y) ? 0 : Math.abs(x - y);
    maxAbs = Math.max(maxAbs, Number.isNaN(error) ? Infinity : error);
    if (Number.isFinite(y)) largest = Math.max(largest, Math.abs(y));
  }
  const allowed = (tolerance.atol ?? DEFAULT_ATOL) + (tolerance.rtol ?? DEFAULT_RTOL[kind]) * largest;
  return { maxAbs, maxRel: maxAbs === 0 ? 0 : maxAbs / largest, tolerance: allowed, ok: maxAbs <= allowed };
}

function checkedTolerance(name: string, value: number | undefined): number | undefined {
  if (value === undefined || (Number.isFinite(value) && value >= 0)) return value;
  throw new RefereeError('InvalidOption', `${name} is ${quoted(value)}, expected a number of at least 0`);
}

/** The class that a config names, as diffusers or as transformers writes it. */
function classOf(config: unknown, where: string): string {
  const fields = typeof config === 'object' && config !== null ? (config as Record<string, unknown>) : {};
  const listed = fields['architectures'];
  const name = fields['_class_name'] ?? (Array.isArray(listed) ? (listed[0] as unknown) : undefined);
  if (typeof name === 'string') return name;
  throw new RefereeError('InvalidModel', `${where}: "_class_name" or "architectures" must name the model's class`);
}

function functionOf(reference: SafetensorsFile): string {
  return reference.metadata['function'] ?? basename(reference.path).replace(/^reference-(.*)\.safetensors$/, '$1');
}

async function readAll(file: SafetensorsFile): Promise<Map<string, Tensor>> {
  const tensors = new Map<string, Tensor>();
  for (const name of file.tensors.keys()) tensors.set(name, await file.read(name));
  return tensors;
}

function namesBelow(tensors: ReadonlyMap<string, Tensor>, prefix: string): string[] {
  const names = [...tensors.keys()].filter((name) => name.startsWith(prefix));
  return names.map((name) => name.slice(prefix.length)).sort();
}
