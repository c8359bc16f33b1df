/**
 * @file Gradients of what PyTorch's two exporters write of networks of torchvision, timm and transformers (random weights)
 * and of small programs of single operators, against PyTorch's autograd in float64.
 *
 * Usage: npm run check:exports -- [--only text] [--keep folder]
 *
 * Prints a table in Markdown, then every file that does not agree. Exit code 1: a gradient that is wrong, or a file that
 * onnxruntime runs and we refuse.
 */
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { execa } from 'execa';
import { z } from 'zod';

import { checkGradient } from '../activities/gradients/check-gradient.ts';
import { errorOf } from '../activities/gradients/reals.ts';
import { writeGradient } from '../activities/gradients/write-gradient.ts';
import type { Tensor } from '../models/onnx/dtype.ts';
import type { Device } from '../models/runtime/device.ts';
import { openDevice } from '../models/runtime/node-device.ts';
import { decodeSafetensors } from '../models/weights/safetensors.ts';

/** Of the largest element: what float32 may lose on the way through a network; more where PyTorch's float32 loses more. */
const ALLOWED = 1e-3;
const TIMES_PYTORCH = 10;

const here = fileURLToPath(new URL('reference/exports/', import.meta.url));
const { values: flags } = parseArgs({
  options: { only: { type: 'string', default: '' }, keep: { type: 'string' } },
});

const exportedSchema = z.strictObject({
  name: z.string(),
  point: z.string().nullable(),
  error: z.string().nullable(),
  files: z.record(z.string(), z.string()),
  refused: z.record(z.string(), z.string()),
});

/** `agrees`; `kink`: off at the point, but right along ways through it; `not run`: onnxruntime refuses the file itself. */
type Verdict = 'agrees' | 'kink' | 'wrong' | 'refused' | 'not run' | 'not exported';

interface Checked {
  readonly name: string;
  readonly exporter: string;
  readonly verdict: Verdict;
  readonly why?: string;
  /** Of the gradient, of its largest element: ours, and that of PyTorch in float32. */
  readonly error?: number;
  readonly pytorch?: number;
}

async function* exported(names: readonly string[], folder: string): AsyncGenerator<z.output<typeof exportedSchema>> {
  const lines = execa(join(here, 'python.sh'), [join(here, 'export.py'), folder, ...names], { stderr: 'ignore' });
  for await (const line of lines) yield exportedSchema.parse(JSON.parse(line));
}

async function allNames(): Promise<readonly string[]> {
  const print = `import sys; sys.path.insert(0, ${JSON.stringify(here)}); from networks import NETWORKS; print("\\n".join(NETWORKS))`;
  const { stdout } = await execa(join(here, 'python.sh'), ['-c', print], { stderr: 'inherit' });
  return stdout.split('\n').filter((name) => name.includes(flags.only));
}

type Point = Readonly<Record<'x' | 'cotangent' | 'y' | 'gradient' | 'gradient32', Tensor>>;

async function check(model: string, point: Point, work: string): Promise<Omit<Checked, 'name' | 'exporter'>> {
  const device = await openDevice({ provider: 'cpu' });
  try {
    const stock = await runStock(device, model, point);
    if (typeof stock === 'string') return { verdict: 'not run', why: stock };
    const written = await writeGradient({ model, output: join(work, 'gradient.onnx'), force: true });
    const session = await device.load(written.bytes, { name: model });
    const results = await session.run({ x: point.x, 'cotangent.y': point.cotangent });
    const error = errorOf(results['gradient.x']!, point.gradient);
    const pytorch = errorOf(point.gradient32, point.gradient);
    const allowed = Math.max(ALLOWED, TIMES_PYTORCH * Math.max(pytorch, stock));
    if (errorOf(results['y']!, point.y) <= allowed && error <= allowed) return { verdict: 'agrees', error, pytorch };
    const { ok } = await checkGradient(written, { directions: 3 });
    return { verdict: ok ? 'kink' : 'wrong', why: `off by ${error.toExponential(1)}`, error, pytorch };
  } catch (error) {
    return { verdict: 'refused', why: (error as Error).message };
  } finally {
    await device.close();
  }
}

/** The error of onnxruntime's own outputs of the file, or why it gives none. */
async function runStock(device: Device, model: string, { x, y }: Point): Promise<number | string> {
  try {
    const session = await device.load(await readFile(model), { name: model });
    const results = await session.run({ x });
    await session.release();
    return errorOf(results['y']!, y);
  } catch (error) {
    return (error as Error).message;
  }
}

function printTable(checked: readonly Checked[]): void {
  const groups = new Map<string, Checked[]>();
  for (const one of checked) {
    const group = `${one.name.split('/')[0]!} | ${one.exporter}`;
    groups.set(group, [...(groups.get(group) ?? []), one]);
  }
  process.stdout.write(
    '\n| networks of | exporter | files | agree | right but for a kink | wrong | refused | onnxruntime does not run | median error | largest | PyTorch float32, median |\n' +
      '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n',
  );
  for (const [group, all] of groups) {
    const files = all.filter(({ verdict }) => verdict !== 'not exported');
    const count = (verdict: Verdict): number => files.filter((one) => one.verdict === verdict).length;
    const agreeing = files.filter(({ verdict }) => verdict === 'agrees');
    const errors = agreeing.map(({ error }) => error!);
    const digits = [median(errors), Math.max(...errors), median(agreeing.map(({ pytorch }) => pytorch!))];
    const counts = (['agrees', 'kink', 'wrong', 'refused', 'not run'] as const).map(count);
    process.stdout.write(
      `| ${group} | ${[files.length, ...counts, ...digits.map((value) => value.toExponential(1))].join(' | ')} |\n`,
    );
  }
  const exporting = checked.filter(({ verdict }) => verdict === 'not exported').length;
  process.stdout.write(`\n${checked.length} exports, of which PyTorch itself refuses ${exporting}\n`);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

const names = await allNames();
const folder = flags.keep ?? (await mkdtemp(join(tmpdir(), 'referee-exports-')));
await mkdir(folder, { recursive: true });
const checked: Checked[] = [];
try {
  for await (const { name, point, error, files, refused } of exported(names, folder)) {
    const found: Checked[] = Object.entries(refused).map(([exporter, why]) => ({
      ...{ name, exporter, why },
      verdict: 'not exported' as const,
    }));
    const tensors = point === null ? undefined : (decodeSafetensors(await readFile(point), point).tensors as Point);
    for (const [exporter, file] of Object.entries(files)) {
      if (tensors) found.push({ name, exporter, ...(await check(file, tensors, folder)) });
      if (flags.keep === undefined) await rm(file);
    }
    if (error !== null) process.stdout.write(`${name}: PyTorch cannot make it: ${error}\n`);
    for (const { exporter, verdict, why } of found.filter((one) => one.verdict !== 'agrees')) {
      process.stdout.write(`${name}, ${exporter}: ${verdict}: ${why}\n`);
    }
    checked.push(...found);
  }
} finally {
  if (flags.keep === undefined) await rm(folder, { recursive: true });
}
printTable(checked);
if (checked.some(({ verdict }) => verdict === 'wrong' || verdict === 'refused')) process.exitCode = 1;
