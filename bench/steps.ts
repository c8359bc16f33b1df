/**
 * @file Seconds and memory of one search step of the shapes pack, by phase, for one lane and for eight, on one device with one
 * thread; and of starting: opening the pack, building graphs, loading them.
 *
 * Usage: tsx bench/steps.ts [--repeats 15]
 */
import { parseArgs } from 'node:util';

import { openDevices } from '../activities/devices.ts';
import { Engine } from '../activities/engine.ts';
import { choosePlan } from '../activities/memory-plan.ts';
import { SHAPES_DEFAULTS } from '../inversion/options.ts';
import { step } from '../inversion/step.ts';
import { openPack } from '../models/packs/resolve.ts';
import { machine, median } from './machine.ts';
import { stepLanes } from './support/step-lanes.ts';
import { megabytes } from './support/step-table.ts';

const { values: flags } = parseArgs({ options: { repeats: { type: 'string', default: '15' } } });
const repeats = Number(flags.repeats);

process.stdout.write(`${machine()}; one device, one thread, median of ${repeats} steps (smallest - largest)\n\n`);
const idle = process.memoryUsage().rss;
const begun = performance.now();
const pack = await openPack('shapes');
await using devices = await openDevices({ provider: 'cpu', threads: 1 });
const chosen = await choosePlan(pack, devices, { lanes: 8, items: [{ options: SHAPES_DEFAULTS }] });
const engine = await Engine.open(pack, devices.all, chosen);
const opened = performance.now();
await step(await stepLanes(engine, 1), engine.models);
const ready = performance.now();
process.stdout.write(
  `opening pack and device ${ms(opened - begun)}, graphs built, loaded and first step ${ms(ready - opened)}\n\n`,
);
process.stdout.write('| lanes | step | guidance | alignment | rest | step per lane | resident memory |\n');
process.stdout.write('| --- | --- | --- | --- | --- | --- | --- |\n');
for (const lanes of [1, 8]) await measure(lanes);
process.stdout.write(
  `\nestimated for eight lanes: ${megabytes(chosen.bytes)}; before the pack was opened: ${megabytes(idle)}\n`,
);

async function measure(lanes: number): Promise<void> {
  const all = await stepLanes(engine, lanes);
  await step(all, engine.models);
  const steps: number[] = [];
  const phases: Record<string, number[]> = { guidance: [], alignment: [] };
  for (let repeat = 0; repeat < repeats; repeat += 1) {
    const before = await seconds();
    const from = performance.now();
    await step(all, engine.models);
    steps.push(performance.now() - from);
    const after = await seconds();
    for (const [name, values] of Object.entries(phases)) values.push(1000 * ((after[name] ?? 0) - (before[name] ?? 0)));
  }
  const [whole, guidance, alignment] = [median(steps), median(phases['guidance']!), median(phases['alignment']!)];
  const spread = `${ms(whole)} (${ms(Math.min(...steps))} - ${ms(Math.max(...steps))})`;
  const cells = [lanes, spread, ms(guidance), ms(alignment), ms(whole - guidance - alignment), ms(whole / lanes)];
  process.stdout.write(`| ${cells.join(' | ')} | ${megabytes(process.memoryUsage().rss)} |\n`);
}

/** Seconds inside the runtime by phase; the alignment's session is named after its cutouts. */
async function seconds(): Promise<Record<string, number>> {
  const [stats] = await engine.models.stats();
  const entries = Object.entries(stats!.sessions).map(([name, of]) => [name.replace(/-.*/, ''), of.seconds] as const);
  return Object.fromEntries(entries);
}

function ms(milliseconds: number): string {
  return `${milliseconds.toFixed(1)} ms`;
}
