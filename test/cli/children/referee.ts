/**
 * @file Child process: the whole command line over a machine that makes no pictures. It takes the place of a device and a
 * search only: `steps` steps of STEP_MS each, checkpoints when asked to stop.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import type { RunEvent, RunSummary, StartRun } from '../../../activities/run-contract.ts';
import { runProcess } from '../../../cli/process.ts';
import { RefereeError } from '../../../errors.ts';

const STEP_MS = Number(process.env['STEP_MS'] ?? '0');

const startRun: StartRun = async ({ items, store, signal, onEvent }) => {
  if (process.env['CRASH'] === 'bug') throw new TypeError('x is undefined');
  if (process.env['CRASH'] === 'full') throw new RefereeError('StoreFull', `store "${store}": no space left`);
  const run = 'r0';
  const folder = `${store}/${run}`;
  const pack = { name: 'shapes', version: '1', digest: 'd' };
  const plan = { threads: 2, plan: 'fused', lanes: 1, memoryBytes: 3e8, secondsExpected: 70, steps: 4 * items.length };
  onEvent({
    type: 'plan',
    run,
    folder,
    items: items.length,
    skipped: 0,
    continued: 0,
    started: items.length,
    pack,
    provider: 'cpu',
    ...plan,
  });
  let [succeeded, failed] = [0, 0];
  for (const { index, prompt, seed } of items) {
    const of = { run, item: `i${index}`, index, prompt, seed };
    onEvent({ type: 'start', ...of, step: 0, steps: 4 });
    for (let step = 1; step <= 4 && !signal.aborted; step++) {
      await sleep(STEP_MS, undefined, { ref: true });
      onEvent({ type: 'step', ...of, step, steps: 4, losses: { itm: 1 / step } });
    }
    if (signal.aborted) break;
    const isBad = prompt.includes('fail');
    if (isBad) failed++;
    else succeeded++;
    const path = `${folder}/items/i${index}/image.png`;
    const end: RunEvent = isBad
      ? { type: 'failed', ...of, error: { code: 'NonFinite', message: 'step 3' } }
      : { type: 'done', ...of, path, scores: { itm: 0.5 } };
    onEvent(end);
  }
  const unfinished = items.length - succeeded - failed;
  const counts = { succeeded, failed, skipped: 0, unfinished, interrupted: signal.aborted };
  const summary: RunSummary = { run, folder, ...counts, seconds: 1, manifest: `${folder}/manifest.jsonl` };
  return summary;
};

await runProcess({
  startRun: () => Promise.resolve(startRun),
  checkFolder: () => Promise.reject(new RefereeError('InvalidModel', 'no models here')),
});
