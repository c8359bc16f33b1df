/**
 * @file The two calls of a search step (guidance, alignment with its gradient) beside the same mathematics in PyTorch: the
 * same weights, the same inputs, taken from a real step, on the same machine in the same run, turn by turn, one thread on
 * both sides. Results are compared before times are. Seconds are those inside the runtimes; memory is the peak of a process
 * for each side. On a GPU (`--provider cuda`) PyTorch computes on it too, and memory is the GPU's.
 *
 * Usage: tsx bench/whole-step.ts [--pack shapes|mid|<folder>] [--lanes 1,8] [--repeats 15] [--seed 0] [--calls guidance,alignment] [--compile]
 *        [--python <interpreter>] [--provider cpu|cuda|webgpu]
 *        tsx bench/whole-step.ts --peak 1 [--pack shapes]     this side's peak memory alone, bytes
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';

import { z } from 'zod';

import { Engine } from '../activities/engine.ts';
import { COMMON_WINDOWS } from '../activities/lane-adjoints.ts';
import { step } from '../inversion/step.ts';
import type { Tensor } from '../models/onnx/dtype.ts';
import type { Pack } from '../models/packs/resolve.ts';
import type { Session } from '../models/runtime/device.ts';
import { gpuOf } from '../models/runtime/gpu.ts';
import { openDevice } from '../models/runtime/node-device.ts';
import { decodeSafetensors, writeSafetensors } from '../models/weights/safetensors.ts';
import { machine } from './machine.ts';
import { openPyTorch, type PyTorch, type PyTorchMode } from './pytorch.ts';
import { openBenchPack } from './support/bench-pack.ts';
import { gpuMemory } from './support/gpu.ts';
import { countFlops } from './support/flops.ts';
import { machinePeak } from './support/machine-peak.ts';
import { usageOf } from './support/processes.ts';
import { productSpeed } from './support/product-speed.ts';
import { CALLS, recordStep, stepCalls, type Call, type Feeds } from './support/step-calls.ts';
import { stepLanes } from './support/step-lanes.ts';
import { gigaflops, largest, megabytes, printRow, seconds, type Side, sum } from './support/step-table.ts';

const { values: flags } = parseArgs({
  options: {
    pack: { type: 'string', default: 'shapes' },
    lanes: { type: 'string' },
    repeats: { type: 'string' },
    seed: { type: 'string', default: '0' },
    compile: { type: 'boolean', default: false },
    python: { type: 'string' },
    provider: { type: 'string', default: 'cpu' },
    calls: { type: 'string', default: CALLS.join(',') },
    peak: { type: 'string' },
  },
});
const provider = z.enum(['cpu', 'cuda', 'webgpu']).parse(flags.provider);
/** A step of the mid-size pack takes seconds. */
const isMid = flags.pack === 'mid';
/** Of the largest magnitude of a result. */
const TOLERANCE = 1e-3;
/**
 * A pixel on an edge (of a clamp, a maximum, a sector of the hue) may fall on either side of it by rounding, and its part
 * of the gradient with it: some ten values of the latent's gradient then differ. Of a step at 256 pixels every second or
 * third has such a pixel; where PyTorch starts from the same image there is no difference.
 */
const EDGES = { share: 0.02, tolerance: 0.05 };
const timeSchema = z.strictObject({ seconds: z.number(), peak: z.number() });
const openSchema = z.strictObject({ openSeconds: z.number(), peak: z.number() });

const pack = await openBenchPack(flags.pack);
if (flags.peak === undefined) await compare();
else await printPeak(Number(flags.peak));

/** One process, one device, some steps: nothing else has been in it. */
async function printPeak(lanes: number): Promise<void> {
  const before = provider === 'cpu' ? 0 : await gpuMemory();
  const device = await openDevice({ provider, threads: 1, memory: 'fast' });
  const engine = await Engine.open(pack, [device], { adjoint: { gather: COMMON_WINDOWS } });
  const all = await stepLanes(engine, lanes);
  for (let call = 0; call < 3; call += 1) await step(all, engine.models);
  const peak = provider === 'cpu' ? (await usageOf(process.pid))?.peakBytes : (await gpuMemory()) - before;
  await device.close();
  process.stdout.write(`${peak}\n`);
}

async function compare(): Promise<void> {
  const repeats = Number(flags.repeats ?? (isMid ? 3 : 15));
  const lanes = (flags.lanes ?? (isMid ? '1' : '1,8')).split(',').map(Number);
  const where = provider === 'cpu' ? 'one thread' : `${provider}, ${gpuOf(provider)?.name ?? 'unknown GPU'}`;
  process.stdout.write(`${machine()}; pack ${pack.manifest.name}; ${where}, ${repeats} calls in turn\n`);
  const folder = await mkdtemp(join(tmpdir(), 'referee-bench-'));
  try {
    for (const count of lanes) await measure(pack, { lanes: count, repeats, folder });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Measure {
  readonly lanes: number;
  readonly repeats: number;
  readonly folder: string;
}

async function measure(of: Pack, { lanes, repeats, folder }: Measure): Promise<void> {
  const recorded = await recordStep(of, { lanes, seed: Number(flags.seed), provider });
  await using pytorch = await openPyTorch('step.py', flags.python);
  const opened = await asked(
    pytorch.ask({ do: 'open', pack: of.folder, device: provider === 'cpu' ? 'cpu' : 'cuda' }, openSchema),
  );
  const device = await openDevice({ provider, threads: 1, memory: 'fast' });
  try {
    const built = performance.now();
    const calls = await stepCalls(of, provider);
    const building = (performance.now() - built) / 1000;
    process.stdout.write(
      `\n${lanes} ${lanes === 1 ? 'lane' : 'lanes'}; here: pack, sessions and first step ${seconds(recorded.seconds)}, building both graphs ${seconds(building)}; ` +
        `PyTorch ${pytorch.version}: reading weights ${seconds(opened.openSeconds)}\n\n` +
        '| call | GFLOP | here | PyTorch eager | torch.compile | eager / here by medians | by smallest | compile / here | here, share of the FMA peak |\n' +
        '| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n',
    );
    const fma = provider === 'cpu' ? (await machinePeak()).flops : undefined;
    const totals: Record<Side, number[]> = { here: [], eager: [], compile: [] };
    let flops = 0;
    const peaks: number[] = [];
    for (const call of CALLS.filter((name) => flags.calls.split(',').includes(name))) {
      const { graph, model } = calls[call];
      const feeds = recorded.feeds[call];
      const session = await device.load(model, { name: `timed-${call}`, weightsRoot: '/' });
      const file = join(folder, `${call}-${lanes}.safetensors`);
      await writeFile(file, writeSafetensors(feeds));
      const times = await inTurn({ session, call, feeds, file, pytorch, repeats, peaks });
      await session.release();
      const count = sum([...countFlops(graph, { B: lanes }).values()]);
      flops += count;
      printRow(call, count, times, fma);
      for (const side of ['here', 'eager', 'compile'] as const) {
        times[side].forEach((value, at) => (totals[side][at] = (totals[side][at] ?? 0) + value));
      }
    }
    printRow('both', flops, totals, fma);
    const speed = { here: await productSpeed(device), pytorch: await pytorchProductSpeed(pytorch) };
    process.stdout.write(
      `\n${fma === undefined ? '' : `FMA peak of one thread: ${gigaflops(fma)}; `}matrix product of 2048: ${gigaflops(speed.here)} here, ${gigaflops(speed.pytorch)} in PyTorch\n` +
        `peak memory of a process: here ${megabytes(await peakHere(lanes))}, PyTorch ${flags.compile ? 'not told, as the compiler is in it' : megabytes(Math.max(...peaks))}\n`,
    );
  } finally {
    await device.close();
  }

  interface Turns {
    readonly session: Session;
    readonly call: Call;
    readonly feeds: Feeds;
    readonly file: string;
    readonly pytorch: PyTorch;
    readonly repeats: number;
    readonly peaks: number[];
  }

  async function inTurn(turns: Turns): Promise<Record<Side, number[]>> {
    const times: Record<Side, number[]> = { here: [], eager: [], compile: [] };
    const modes: readonly PyTorchMode[] = flags.compile ? ['eager', 'compile'] : ['eager'];
    // The first calls warm up, compile, and are compared.
    for (let call = -2; call < turns.repeats; call += 1) {
      const before = await inside(turns.call);
      const outputs = await turns.session.run(turns.feeds);
      const spent = (await inside(turns.call)) - before;
      if (call >= 0) times.here.push(spent);
      for (const mode of modes) {
        const out = call < 0 ? join(folder, `${turns.call}-${mode}-out.safetensors`) : '';
        const answer = await turns.pytorch.ask({ do: turns.call, mode, file: turns.file, out }, timeSchema);
        if ('error' in answer) {
          if (mode === 'eager') throw new Error(`PyTorch: ${answer.error}`);
          if (call === -2) process.stdout.write(`torch.compile: ${answer.error}\n`);
          continue;
        }
        if (mode === 'eager') turns.peaks.push(answer.peak);
        if (call >= 0) times[mode].push(answer.seconds);
        else await check(turns.call, outputs, out);
      }
    }
    return times;
  }

  async function inside(call: Call): Promise<number> {
    return (await device.stats()).sessions[`timed-${call}`]?.seconds ?? 0;
  }
}

/** Every result of both sides: differences over the largest magnitude. */
async function check(call: Call, outputs: Readonly<Record<string, Tensor>>, file: string): Promise<void> {
  const theirs = decodeSafetensors(await readFile(file), file).tensors;
  for (const [name, { data }] of Object.entries(outputs)) {
    const other = theirs[name]?.data as Float32Array | undefined;
    if (other?.length !== data.length) throw new Error(`${call}: PyTorch gave no ${name} of ${data.length} values`);
    const most = largest((data as Float32Array).map(Math.abs));
    const differences = other.map((value, at) => Math.abs(value - Number(data[at])) / most);
    const [worst, beyond] = [largest(differences), differences.filter((value) => !(value < TOLERANCE)).length];
    if (beyond === 0) continue;
    const found = `${call}: ${name}: ${beyond} of ${data.length} values differ by more than ${TOLERANCE} of the largest magnitude, at most by ${worst.toPrecision(2)}`;
    if (!(beyond <= EDGES.share * data.length && worst < EDGES.tolerance)) throw new Error(found);
    process.stderr.write(`${found}: pixels on an edge\n`);
  }
}

async function pytorchProductSpeed(pytorch: PyTorch): Promise<number> {
  const times: number[] = [];
  for (let call = 0; call < 5; call += 1) {
    times.push((await asked(pytorch.ask({ do: 'peak-product', size: '2048' }, timeSchema))).seconds);
  }
  return (2 * 2048 ** 3) / Math.min(...times);
}

async function peakHere(lanes: number): Promise<number> {
  const script = fileURLToPath(import.meta.url);
  const given = [...process.execArgv, script, '--peak', `${lanes}`, '--pack', flags.pack, '--provider', provider];
  return Number((await promisify(execFile)(process.execPath, given)).stdout);
}

async function asked<T extends object>(answer: Promise<T>): Promise<Exclude<T, { error: string }>> {
  const given = await answer;
  if ('error' in given) throw new Error(`PyTorch: ${String(given.error)}`);
  return given as Exclude<T, { error: string }>;
}
