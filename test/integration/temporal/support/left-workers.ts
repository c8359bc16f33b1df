/**
 * @file Workers of a test file that end with the test that started them: one that a failed test leaves would take the tasks
 * of the next one, since queues have fixed names.
 */
import { afterEach } from 'vitest';

import { WorkerProcess } from './batches.ts';
import type { WorkerOptions } from './batches.ts';

export type StartWorker = (store: string, more?: readonly string[], options?: WorkerOptions) => Promise<WorkerProcess>;

/** `address` of the server is asked at each start. */
export function workersOfTests(address: () => string): StartWorker {
  const workers: WorkerProcess[] = [];
  afterEach(async () => {
    // A stopped process hears SIGKILL too, but not what its test may have sent before.
    for (const worker of workers) worker.kill('SIGCONT');
    await Promise.all(workers.splice(0).map((worker) => worker.stop('SIGKILL')));
  });
  return async (store, more, options) => {
    const started = await WorkerProcess.start(address(), store, more, options);
    workers.push(started);
    return started;
  };
}
