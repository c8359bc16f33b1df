/**
 * @file Batches of real searches while workers and servers are killed and stopped and the store's calls are spoiled: nothing is
 * lost, nothing twice, nothing torn, every picture has the bytes of an undisturbed run, and no search repeats more than one
 * interval between checkpoints per fault. Exit code 1 where that does not hold.
 *
 * Usage: npm run chaos -- [--faults 100] [--seed 1] [--items 12] [--workers 3] [--lanes 2] [--steps 96]
 *        [--checkpoint-every 4] [--json]
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { runChaos } from '../test/support/chaos/chaos.ts';
import { reportText } from '../test/support/chaos/report.ts';
import { machine } from './machine.ts';

const { values: flags } = parseArgs({
  options: {
    faults: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
    items: { type: 'string', default: '12' },
    workers: { type: 'string', default: '3' },
    lanes: { type: 'string', default: '2' },
    steps: { type: 'string', default: '96' },
    'checkpoint-every': { type: 'string', default: '4' },
    json: { type: 'boolean', default: false },
  },
});

function whole(flag: Exclude<keyof typeof flags, 'json'>, min: number): number {
  const found = Number(flags[flag]);
  if (Number.isInteger(found) && found >= min) return found;
  process.stderr.write(`error: --${flag}: expected a whole number from ${min}, found ${flags[flag]}\n`);
  process.exit(2);
}

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // One Ctrl-C may come twice: from the terminal, and from the program that has started this one.
    if (interrupted.signal.aborted) return;
    process.stderr.write('ends all processes\n');
    interrupted.abort();
  });
}

const numbers = {
  seed: whole('seed', 0),
  faults: whole('faults', 1),
  items: whole('items', 1),
  workers: whole('workers', 1),
  lanes: whole('lanes', 1),
  steps: whole('steps', 1),
  checkpointEvery: whole('checkpoint-every', 1),
};
try {
  const report = await runChaos({
    ...numbers,
    heartbeatSeconds: 5,
    spoiledShare: 0.05,
    // As it was built: workers start in a fraction of the time that they take from sources.
    referee: [process.execPath, fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))],
    say: (line) => void process.stderr.write(`${line}\n`),
    signal: interrupted.signal,
  });
  process.stdout.write(flags.json ? `${JSON.stringify(report)}\n` : `${machine()}\n\n${reportText(report)}`);
  if (!report.ok) {
    const { items, workers, lanes, steps, checkpointEvery, faults, seed } = numbers;
    const settings = `--items ${items} --workers ${workers} --lanes ${lanes} --steps ${steps} --checkpoint-every ${checkpointEvery}`;
    process.stderr.write(`FAILED; again with: npm run chaos -- --faults ${faults} --seed ${seed} ${settings}\n`);
    process.exitCode = 1;
  }
} catch (error) {
  if (!interrupted.signal.aborted) throw error;
  process.exitCode = 130;
}
