/**
 * @file The estimate of memory beside the measured peak of a process that runs every graph of the shapes pack.
 * Prints one JSON object, bytes.
 *
 * Usage: tsx bench/memory.ts <lanes> <devices>
 */
import { openDevices } from '../activities/devices.ts';
import { Engine } from '../activities/engine.ts';
import { choosePlan } from '../activities/memory-plan.ts';
import { SHAPES_DEFAULTS } from '../inversion/options.ts';
import { openPack } from '../models/packs/resolve.ts';
import { callAll, testLanes } from '../test/activities/support/lanes.ts';

const [lanes = 1, threads = 1] = process.argv.slice(2).map(Number);
const pack = await openPack('shapes');
await using devices = await openDevices({ provider: 'cpu', threads });
const chosen = await choosePlan(pack, devices, { lanes, items: [{ options: SHAPES_DEFAULTS }] });
const engine = await Engine.open(pack, devices.all, chosen);
const all = (await testLanes(pack, engine.models)).slice(0, lanes);
for (let call = 0; call < 3; call += 1) await callAll(engine.models, all);
// maxRSS is in kilobytes: the largest resident size that the process has had.
const peak = process.resourceUsage().maxRSS * 1024;
process.stdout.write(
  `${JSON.stringify({ lanes, devices: threads, plan: chosen.plan.kind, estimate: Math.round(chosen.bytes), peak })}\n`,
);
