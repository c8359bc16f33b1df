/**
 * @file Where the time of a search step goes: kinds of operators in onnxruntime with calls, milliseconds, shares and
 * GFLOP/s, as Markdown tables, and the largest single nodes. One thread. Times are the runtime's own, medians of the calls.
 *
 * Usage: tsx bench/profile.ts [--pack shapes|mid|<folder>] [--lanes 1,8] [--calls guidance,alignment] [--repeats 10] [--top 15]
 */
import { parseArgs } from 'node:util';

import { machine } from './machine.ts';
import { openBenchPack } from './support/bench-pack.ts';
import { profileCall, type GraphTime, type NodeTime } from './support/node-profile.ts';
import { CALLS, recordStep, stepCalls } from './support/step-calls.ts';
import { sum } from './support/step-table.ts';

const { values: flags } = parseArgs({
  options: {
    pack: { type: 'string', default: 'shapes' },
    lanes: { type: 'string' },
    calls: { type: 'string', default: CALLS.join(',') },
    repeats: { type: 'string', default: '10' },
    top: { type: 'string', default: '0' },
  },
});
/** Kinds below this share of the time are one line. */
const SMALL_SHARE = 0.005;

const pack = await openBenchPack(flags.pack);
const calls = await stepCalls(pack);
const repeats = Number(flags.repeats);
process.stdout.write(`${machine()}; pack ${pack.manifest.name}; one thread, medians of ${repeats} calls\n`);
for (const lanes of (flags.lanes ?? (flags.pack === 'mid' ? '1' : '1,8')).split(',').map(Number)) {
  const { feeds } = await recordStep(pack, { lanes });
  for (const call of CALLS.filter((name) => flags.calls.split(',').includes(name))) {
    const profile = await profileCall(calls[call], feeds[call], { repeats, lanes });
    process.stdout.write(`\n### ${pack.manifest.name}, ${lanes} ${lanes === 1 ? 'lane' : 'lanes'}, ${call}\n\n`);
    printKinds(profile);
    if (Number(flags.top) > 0) printNodes(profile, Number(flags.top));
  }
}

interface Kind {
  readonly name: string;
  readonly nodes: readonly NodeTime[];
  readonly seconds: number;
}

function printKinds({ nodes, seconds: whole, wholeSeconds }: GraphTime): void {
  const kinds = [...new Set(nodes.map(({ op }) => op))].map((name): Kind => {
    const of = nodes.filter(({ op }) => op === name);
    return { name, nodes: of, seconds: sum(of.map(({ seconds }) => seconds)) };
  });
  const shown = kinds.filter(({ seconds }) => seconds >= SMALL_SHARE * whole).sort((a, b) => b.seconds - a.seconds);
  const rest = nodes.filter(({ op }) => !shown.some(({ name }) => name === op));
  process.stdout.write(
    '| operator | calls | ms | share | GFLOP | GFLOP/s | GB/s |\n| --- | --- | --- | --- | --- | --- | --- |\n',
  );
  for (const { name, nodes: of, seconds } of shown) printLine(name, of, seconds);
  printLine('all others', rest, sum(rest.map(({ seconds }) => seconds)));
  printLine('all operators', nodes, whole);
  printLine('whole call, without the profile', nodes, wholeSeconds);

  function printLine(name: string, of: readonly NodeTime[], seconds: number): void {
    const flops = sum(of.map((node) => node.flops));
    const rate = (value: number): string => (value > 0 ? (value / seconds / 1e9).toFixed(0) : '');
    const cells = [
      name,
      of.length > 0 ? String(of.length) : '',
      (1000 * seconds).toFixed(2),
      `${((100 * seconds) / whole).toFixed(1)} %`,
      flops > 0 ? (flops / 1e9).toFixed(2) : '',
      rate(flops),
      rate(sum(of.map(({ bytes }) => bytes))),
    ];
    process.stdout.write(`| ${cells.join(' | ')} |\n`);
  }
}

function printNodes({ nodes, seconds: whole }: GraphTime, count: number): void {
  process.stdout.write(
    '\n| node | operator | from | to | ms | share | GFLOP/s |\n| --- | --- | --- | --- | --- | --- | --- |\n',
  );
  for (const node of [...nodes].sort((a, b) => b.seconds - a.seconds).slice(0, count)) {
    const shapes = (of: NodeTime['inputs']): string => of.map((shape) => `[${shape.join(' ')}]`).join(' ');
    const cells = [
      node.name,
      node.op,
      shapes(node.inputs),
      shapes(node.outputs),
      (1000 * node.seconds).toFixed(2),
      `${((100 * node.seconds) / whole).toFixed(1)} %`,
      node.flops > 0 ? (node.flops / node.seconds / 1e9).toFixed(0) : '',
    ];
    process.stdout.write(`| ${cells.join(' | ')} |\n`);
  }
}
