/**
 * @file A worker for the queue of searches that only waits: each chunk takes so many milliseconds a step and does nothing,
 * so that what a batch costs besides its searches can be measured.
 *
 * Usage: tsx bench/support/idle-device.ts <address> <queue> <milliseconds of a chunk> <slots>
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';

import type { DeviceActivities } from '../../activities/contracts.ts';

const [address, taskQueue, milliseconds, slots] = process.argv.slice(2);
Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
const connection = await NativeConnection.connect({ address: address! });
const activities: DeviceActivities = {
  async optimiseChunk() {
    await sleep(Number(milliseconds));
    return { step: 1, ended: 'done' };
  },
  recordFailure: () => Promise.resolve(),
};
const worker = await Worker.create({
  connection,
  taskQueue: taskQueue!,
  activities: { ...activities },
  maxConcurrentActivityTaskExecutions: Number(slots),
});
process.once('SIGTERM', () => worker.shutdown());
process.stderr.write('ready: takes work\n');
await worker.run();
await connection.close();
