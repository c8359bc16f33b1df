/**
 * @file A roofline (Williams, Waterman & Patterson 2009) of search steps on this machine, one thread: classes of operators
 * of both calls by what onnxruntime's profile measured, under what the machine can do at most. Draws an SVG and prints the
 * points as a Markdown table.
 *
 * Usage: tsx bench/roofline.ts [--steps shapes:1,shapes:8,mid:1] [--repeats 5] [--output docs/images/roofline.svg]
 */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { machine } from './machine.ts';
import { openBenchPack } from './support/bench-pack.ts';
import { machinePeak } from './support/machine-peak.ts';
import { profileCall, type GraphTime } from './support/node-profile.ts';
import { classTimes } from './support/operator-classes.ts';
import { drawRoofline, type RooflineStep } from './support/roofline-svg.ts';
import { CALLS, recordStep, stepCalls } from './support/step-calls.ts';
import { gigaflops, sum } from './support/step-table.ts';

const { values: flags } = parseArgs({
  options: {
    steps: { type: 'string', default: 'shapes:1,shapes:8,mid:1' },
    repeats: { type: 'string', default: '5' },
    output: { type: 'string', default: fileURLToPath(new URL('../docs/images/roofline.svg', import.meta.url)) },
  },
});

const peak = await machinePeak();
process.stdout.write(
  `${machine()}; one thread, medians of ${flags.repeats} calls\n` +
    `FMA peak ${gigaflops(peak.flops)} (vectors of ${peak.vector}), memory ${(peak.bandwidth / 1e9).toFixed(1)} GB/s, last cache ${(peak.cache / 1e9).toFixed(1)} GB/s\n\n` +
    '| step | class | ms | share | FLOP / byte | GFLOP/s | GB/s | of the roof |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n',
);
const steps: RooflineStep[] = [];
for (const asked of flags.steps.split(',')) {
  const [name = '', lanes = '1'] = asked.split(':');
  steps.push(await measure(name, Number(lanes)));
}
await writeFile(flags.output, drawRoofline(peak, steps));
process.stderr.write(`${flags.output}\n`);

async function measure(name: string, lanes: number): Promise<RooflineStep> {
  const pack = await openBenchPack(name);
  const calls = await stepCalls(pack);
  const { feeds } = await recordStep(pack, { lanes });
  const parts: GraphTime[] = [];
  for (const call of CALLS) {
    parts.push(await profileCall(calls[call], feeds[call], { repeats: Number(flags.repeats), lanes }));
  }
  const whole = {
    nodes: parts.flatMap(({ nodes }) => nodes),
    seconds: sum(parts.map(({ seconds }) => seconds)),
  };
  const label = `${pack.manifest.name}, ${lanes} ${lanes === 1 ? 'lane' : 'lanes'}`;
  const classes = classTimes(whole);
  for (const { name: kind, seconds, share, flops, bytes } of classes) {
    const roof = Math.min(peak.flops, (peak.bandwidth * flops) / bytes);
    const cells = [
      label,
      kind,
      (1000 * seconds).toFixed(1),
      `${(100 * share).toFixed(1)} %`,
      flops > 0 ? (flops / bytes).toPrecision(2) : '',
      flops > 0 ? (flops / seconds / 1e9).toPrecision(3) : '',
      (bytes / seconds / 1e9).toFixed(1),
      flops > 0 ? `${((100 * flops) / seconds / roof).toFixed(0)} %` : '',
    ];
    process.stdout.write(`| ${cells.join(' | ')} |\n`);
  }
  return { label, classes };
}
