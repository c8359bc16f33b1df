/**
 * @file The estimate of memory beside the measured peak of a process that runs every graph of a pack.
 * Prints one JSON object, bytes.
 *
 * Usage: tsx bench/memory.ts <lanes> <devices> [shapes|mid|<folder>]
 */
import { openDevices } from '../activities/devices.ts';
import { Engine } from '../activities/engine.ts';
import { choosePlan } from '../activities/memory-plan.ts';
import { SHAPES_DEFAULTS } from '../inversion/options.ts';
import { callAll, testLanes } from '../test/activities/support/lanes.ts';
import { openBenchPack } from './support/bench-pack.ts';
import { usageOf } from './support/processes.ts';

const [lanes = 1, threads = 1] = process.argv.slice(2, 4).map(Number);
const pack = await openBenchPack(process.argv[4] ?? 'shapes');
await using devices = await openDevices({ provider: 'cpu', threads });
const chosen = await choosePlan(pack, devices, { lanes, items: [{ options: SHAPES_DEFAULTS }] });
const engine = await Engine.open(pack, devices.all, chosen);
const all = (await testLanes(pack, engine.models)).slice(0, lanes);
for (let call = 0; call < 3; call += 1) await callAll(engine.models, all);
const peak = (await usageOf(process.pid))?.peakBytes;
process.stdout.write(
  `${JSON.stringify({ lanes, devices: threads, plan: chosen.plan.kind, estimate: Math.round(chosen.bytes), peak })}\n`,
);
