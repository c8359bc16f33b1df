/**
 * @file A process that opens hostile files one after the other and says after each what became of it: IPC messages of the
 * shape `CaseReport`. Started by `watch.ts`, which notices what this process cannot say: that it hangs, or is dead.
 *
 * Arguments: seed, first case, end, folder.
 */
import { readFileSync, writeFileSync } from 'node:fs';

import { keepHeapLean } from '../../../activities/gradients/lean-heap.ts';
import { hostileCase } from './cases.ts';
import { outcomeOf } from './outcome.ts';
import type { CaseReport } from './watch.ts';

// As the command does.
keepHeapLean();

const [seed, first, end] = process.argv.slice(2, 5).map(Number) as [number, number, number];
const folder = process.argv[5]!;

/** The largest resident size since the last call, in MB. */
function peakMegabytes(): number {
  const status = readFileSync('/proc/self/status', 'utf8');
  writeFileSync('/proc/self/clear_refs', '5');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? NaN) / 1024;
}

const report = (message: CaseReport): Promise<void> =>
  new Promise((resolve, reject) => {
    process.send!(message, (error: Error | null) => {
      if (error) reject(error);
      else resolve();
    });
  });

for (let index = first; index < end; index += 1) {
  const { bytes } = hostileCase(seed, index);
  await report({ index, state: 'begun' });
  const before = process.cpuUsage();
  let outcome: string;
  let problem: string | undefined;
  try {
    outcome = await outcomeOf(bytes, folder);
  } catch (error) {
    outcome = 'bug';
    problem = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  const { user, system } = process.cpuUsage(before);
  const seconds = (user + system) / 1e6;
  await report({ index, state: 'ended', outcome, problem, seconds, megabytes: peakMegabytes() });
}
process.disconnect();
