/**
 * @file What a machine gives for many searches: whole steps (everything that a search computes, both calls and what is
 * between them) of one lane on one device, of eight lanes on one, and of eight lanes shared out to two devices, one thread
 * each. In turn, so that whatever else the machine does meets all of them. A GPU is one device.
 *
 * Usage: tsx bench/lanes.ts [--pack shapes] [--lanes 8[,16 ...]] [--devices 2] [--repeats 15] [--provider cpu|cuda|webgpu]
 */
import { parseArgs } from 'node:util';

import { z } from 'zod';

import { openDevices, type Devices } from '../activities/devices.ts';
import { Engine } from '../activities/engine.ts';
import { step } from '../inversion/step.ts';
import { gpuOf } from '../models/runtime/gpu.ts';
import { machine, median } from './machine.ts';
import { openBenchPack } from './support/bench-pack.ts';
import { stepLanes } from './support/step-lanes.ts';

const { values: flags } = parseArgs({
  options: {
    pack: { type: 'string', default: 'shapes' },
    lanes: { type: 'string', default: '8' },
    devices: { type: 'string', default: '2' },
    repeats: { type: 'string', default: '15' },
    provider: { type: 'string', default: 'cpu' },
  },
});
const provider = z.enum(['cpu', 'cuda', 'webgpu']).parse(flags.provider);
const [count, repeats] = [flags.devices, flags.repeats].map(Number) as [number, number];
const numbers = [1, ...flags.lanes.split(',').map(Number)];

interface Setup {
  readonly lanes: number;
  readonly devices: number;
  readonly times: number[];
  readonly run: () => Promise<unknown>;
}

const pack = await openBenchPack(flags.pack);
await using one = await openDevices({ provider, threads: 1 });
await using several = provider === 'cpu' ? await openDevices({ provider, threads: count }) : undefined;
const setups: Setup[] = [];
for (const lanes of numbers) {
  setups.push(await setup(one, lanes, 1));
  if (several !== undefined) setups.push(await setup(several, lanes, count));
}
for (let call = -1; call < repeats; call += 1) {
  for (const { run, times } of setups) {
    const begun = performance.now();
    await run();
    if (call >= 0) times.push(performance.now() - begun);
  }
}
const base = median(setups[0]!.times);
process.stdout.write(
  `${machine()}; pack ${pack.manifest.name}; ${provider === 'cpu' ? 'one thread a device' : `${provider}, ${gpuOf(provider)?.name ?? 'unknown GPU'}`}; whole steps, medians of ${repeats} in turn (smallest - largest)\n\n` +
    '| lanes | devices | step | per lane | throughput, times that of one lane on one device |\n| --- | --- | --- | --- | --- |\n',
);
for (const { lanes, devices, times } of setups) {
  const middle = median(times);
  const spread = `${middle.toFixed(1)} ms (${Math.min(...times).toFixed(1)} - ${Math.max(...times).toFixed(1)})`;
  const cells = [lanes, devices, spread, `${(middle / lanes).toFixed(1)} ms`, ((base * lanes) / middle).toFixed(2)];
  process.stdout.write(`| ${cells.join(' | ')} |\n`);
}

async function setup({ all }: Devices, lanes: number, devices: number): Promise<Setup> {
  const engine = await Engine.open(pack, all);
  const states = await stepLanes(engine, lanes);
  return { lanes, devices, times: [], run: () => step(states, engine.models) };
}
