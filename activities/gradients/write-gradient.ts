/**
 * @file `model.onnx` -> `model.grad.onnx`: differentiates a model file and writes the result whole or not at all.
 */
import { lstat, realpath, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

import { RefereeError, quoted } from '../../errors.ts';
import { nearestName } from '../../inversion/suggest.ts';
import { differentiated } from '../../models/autodiff/grad.ts';
import { isFloat } from '../../models/onnx/dtype.ts';
import type { Graph, Node, Value } from '../../models/onnx/graph.ts';
import { producers } from '../../models/onnx/graph.ts';
import { writeModel } from '../../models/onnx/protobuf.ts';
import type { ModelFile } from './open-model.ts';
import { openModelFile, readGraph } from './open-model.ts';
import { moveWeights, weightChunks } from './place-weights.ts';
import { alreadyThere, writeWholeFile } from './whole-file.ts';

export interface GradientRequest {
  readonly model: string;
  /** Names of outputs; may be left out where the model has only one that is a real number. */
  readonly of?: readonly string[];
  /** Names of inputs or initializers; may be left out where only one input is a real number. */
  readonly wrt?: readonly string[];
  readonly output: string;
  /** Sizes of dimensions that the model leaves open, fixed in what is written: by symbol, or by input and axis. */
  readonly sizes?: Readonly<Record<string, number>>;
  /** Passes gradients through the rounding of quantised numbers. */
  readonly straightThrough?: boolean;
  /**
   * File for the weights, in the folder of `output` or below it, or such a folder. Without it weights of the model file are
   * embedded (beyond 2 GB: `<output>.data`), and weights that lie in other files stay there if the output is written to the
   * model's folder, else are copied to `<output>.data`.
   */
  readonly external?: string;
  /** Replace what is there. */
  readonly force?: boolean;
}

export interface WrittenGradient {
  readonly source: ModelFile;
  /** The model, before. */
  readonly graph: Graph;
  /** What was written. */
  readonly result: Graph;
  readonly bytes: Uint8Array;
  /** Absolute path of the written file. */
  readonly path: string;
  readonly of: readonly Value[];
  readonly wrt: readonly Value[];
  /** Names of `wrt` on which no output of `of` depends: their gradient is zero. */
  readonly unreached: readonly string[];
  /** Absolute path of the file with the weights, where one was written. */
  readonly weights: string | undefined;
}

/** Beyond this a message of protobuf cannot be written. */
const MOST_EMBEDDED = 2 ** 31 - 1 - 2 ** 24;

/** @throws RefereeError, one line, before anything is written */
export async function writeGradient(request: GradientRequest): Promise<WrittenGradient> {
  const { output, force = false, straightThrough = false } = request;
  const path = await placeOf(output);
  const source = await openModelFile(request.model);
  if (path === source.path) throw new RefereeError('InvalidInput', `${output}: is the model itself`);
  if (!force && (await exists(path))) throw alreadyThere(output);
  const graph = await readGraph(source, request.sizes);
  const initializers = graph.initializers.map(({ value }) => value);
  const of = chosen(request.of, { what: 'output', flag: 'of', values: graph.outputs, name: request.model });
  const wrt = chosen(request.wrt, {
    what: 'input or initializer',
    flag: 'wrt',
    values: graph.inputs,
    more: initializers,
    name: request.model,
  });
  const names = (values: readonly Value[]): string[] => values.map(({ name }) => name);
  const gradients = differentiated(graph, { of: names(of), wrt: names(wrt), straightThrough });

  const folder = dirname(path);
  const data = request.external === undefined ? `${path}.data` : await dataFileOf(request.external, path);
  const sources = new Set(gradients.initializers.flatMap(({ external }) => external?.file ?? []));
  const stays = folder === source.folder;
  const embedded = gradients.initializers.reduce((total, { data: held }) => total + (held?.data.byteLength ?? 0), 0);
  const isAll = request.external !== undefined || embedded > MOST_EMBEDDED;
  const placed = moveWeights(gradients, data, ({ external }) => isAll || (external !== undefined && !stays));
  const hasData = placed.parts.length > 0;
  if (hasData && (sources.has(data) || data === source.path || data === path)) {
    throw new RefereeError('InvalidInput', `${data}: holds weights of the model, name another file by --external`);
  }
  if (hasData && !force && (await exists(data))) throw alreadyThere(data);
  const bytes = writeModel(placed.graph, { weightsRoot: folder });
  if (hasData) {
    // Whoever reads in between finds no model rather than one whose weights are another's.
    if (force) await unlink(path).catch(() => undefined);
    await writeWholeFile(data, weightChunks(placed), { replace: force });
  }
  await writeWholeFile(path, [bytes], { replace: force });
  const makers = producers(gradients.nodes);
  const unreached = wrt.filter(({ name }) => isZero(gradients, `gradient.${name}`, makers)).map(({ name }) => name);
  const weights = hasData ? data : undefined;
  return { source, graph, result: placed.graph, bytes, path, of, wrt, unreached, weights };
}

interface Choice {
  readonly what: string;
  readonly flag: string;
  /** Of these a single one is meant where none is named. */
  readonly values: readonly Value[];
  readonly more?: readonly Value[];
  readonly name: string;
}

/** The values of these names; a name that does not exist is an error with the nearest that does. */
function chosen(asked: readonly string[] | undefined, { what, flag, values, more = [], name }: Choice): Value[] {
  const reals = values.filter(({ dtype }) => isFloat(dtype));
  const listed = reals.map((value) => value.name).slice(0, 8);
  if (asked === undefined || asked.length === 0) {
    if (reals.length === 1) return [...reals];
    const found = listed.length === 0 ? 'no real numbers' : listed.join(', ');
    throw new RefereeError(
      'InvalidOption',
      `--${flag}: expected the name of an ${what} of ${name}, there are ${found}`,
    );
  }
  const known = new Map([...more, ...values].map((value) => [value.name, value]));
  return [...new Set(asked)].map((wanted) => {
    const value = known.get(wanted);
    if (value && isFloat(value.dtype)) return value;
    const where = `--${flag}: ${what} ${quoted(wanted)} of ${name}`;
    if (value) {
      throw new RefereeError('InvalidInput', `${where} is ${value.dtype}, only real numbers have a gradient`);
    }
    const nearest = nearestName(wanted, [...known.keys()]);
    const there = nearest === undefined ? `, there are ${listed.join(', ')}` : `: did you mean ${quoted(nearest)}?`;
    throw new RefereeError('InvalidInput', `${where} does not exist${there}`);
  });
}

/** The absolute path of a file to be written; its folder must exist. */
async function placeOf(output: string): Promise<string> {
  const path = resolve(output);
  const folder = await realpath(dirname(path)).catch((cause: unknown) => {
    throw new RefereeError('InvalidInput', `${output}: its folder does not exist`, { cause });
  });
  const place = join(folder, basename(path));
  const found = await stat(place).catch(() => undefined);
  if (found && !found.isFile()) throw new RefereeError('InvalidInput', `${output}: expected a file, found none`);
  return place;
}

/** onnxruntime reads weights from the model's folder and below, nowhere else. */
async function dataFileOf(external: string, model: string): Promise<string> {
  const isFolder = external.endsWith('/') || (await stat(external).catch(() => undefined))?.isDirectory() === true;
  const file = await placeOf(isFolder ? join(external, `${basename(model)}.data`) : external);
  if (!file.startsWith(`${dirname(model)}/`)) {
    throw new RefereeError(
      'InvalidOption',
      `--external: found ${quoted(external)}, expected a file or folder in the folder of the written model or below it`,
    );
  }
  return file;
}

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}

/** Whether an output is nothing but zeros, whatever goes in. */
function isZero({ outputs, initializers }: Graph, name: string, makers: ReadonlyMap<Value, Node>): boolean {
  let value = outputs.find((output) => output.name === name);
  for (;;) {
    const maker = value && makers.get(value);
    if (maker?.op === 'ConstantOfShape') return true;
    if (maker?.op !== 'Identity' && maker?.op !== 'Expand') break;
    value = maker.inputs[0];
  }
  const held = initializers.find((initializer) => initializer.value === value)?.data;
  return held?.data.every((element: number | bigint) => Number(element) === 0) ?? false;
}
