/**
 * @file A worker's life: models on devices, a self-test, the server, work, a drain, the end.
 */
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';

import { createDeviceActivities } from '../activities/device-activities.ts';
import { openDevices } from '../activities/devices.ts';
import { Engine } from '../activities/engine.ts';
import { isRefereeError, RefereeError } from '../errors.ts';
import { failuresInterceptor } from '../activities/interceptors.ts';
import type { OnActivityError } from '../activities/interceptors.ts';
import { createIoActivities } from '../activities/io-activities.ts';
import { ItemSpecs } from '../activities/item-specs.ts';
import { Lanes } from '../activities/lanes.ts';
import { choosePlan } from '../activities/memory-plan.ts';
import type { OptimiseEvent } from '../activities/optimiser.ts';
import { selfTest } from '../activities/self-test.ts';
import { packDefaults } from '../activities/specs.ts';
import type { ProviderName } from '../models/runtime/device.ts';
import { openPack } from '../models/packs/resolve.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { deviceQueue, IO_QUEUE, WORKFLOW_QUEUE } from '../workflows/ids.ts';
import { workflowBundle } from './bundle.ts';
import type { Connected } from './connect.ts';
import type { Log } from './log.ts';
import { deploymentOptions } from './version.ts';
import type { WorkerVersion } from './version.ts';

export type Role = 'workflows' | 'io' | 'device';
export const ROLES: readonly Role[] = ['workflows', 'io', 'device'];

export interface DeviceSettings {
  readonly pack: string;
  readonly lanes: number;
  readonly provider: ProviderName | 'auto';
  readonly threads?: number | undefined;
  /** Class of devices in the queue's name. */
  readonly class: string;
}

export interface WorkerSettings {
  readonly store: ObjectStore;
  readonly roles: readonly Role[];
  readonly device: DeviceSettings;
  readonly drainSeconds: number;
  /** For people who look at Temporal's own pages. */
  readonly identity?: string | undefined;
  /** Of the code of the workflows; without it workers take the tasks of any version. */
  readonly version?: WorkerVersion | undefined;
}

export interface WorkerListeners {
  readonly log: Log;
  readonly onEvent: (event: OptimiseEvent, attempt: number) => void;
  readonly onError: OnActivityError;
  /** Called when everything polls, with the queues. */
  readonly onReady: (queues: readonly string[]) => void;
}

/** Models on devices, and the lanes that share them. */
export interface Bench extends AsyncDisposable {
  readonly queue: string;
  readonly lanes: Lanes;
  readonly slots: number;
  readonly activities: ReturnType<typeof createDeviceActivities>;
  /** Rejects when the device is gone. */
  readonly lost: Promise<never>;
}

/** Everything that can be wrong with the pack or the device is known after it. */
export async function openBench(
  store: ObjectStore,
  settings: DeviceSettings,
  { log, onEvent }: Pick<WorkerListeners, 'log' | 'onEvent'>,
): Promise<Bench> {
  const pack = await openPack(settings.pack);
  const { provider, threads, lanes: slots } = settings;
  const devices = await openDevices({
    provider,
    ...(threads !== undefined && { threads }),
    log: (line) => log('info', line),
  });
  try {
    const items = [{ options: packDefaults(pack) }];
    const chosen = await choosePlan(pack, devices, { lanes: slots, items, isOpen: true });
    const engine = await Engine.open(pack, devices.all, chosen);
    await selfTest(engine);
    let lose: (error: RefereeError) => void = () => undefined;
    const lost = new Promise<never>((_, reject) => (lose = reject));
    lost.catch(() => undefined); // whoever runs the worker awaits it
    const lanes = new Lanes(engine, { lanes: slots, onDeviceLost: (error) => lose(error) });
    const specs = new ItemSpecs({ store, pack, tokenizer: engine.tokenizer });
    const { deviceClass } = devices;
    return {
      queue: deviceQueue(pack.digest, settings.class),
      lanes,
      slots,
      lost,
      activities: createDeviceActivities({ store, engine, deviceClass, specs, lanes, onEvent }),
      [Symbol.asyncDispose]: async () => {
        await lanes.close();
        await devices[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await devices[Symbol.asyncDispose]();
    throw error;
  }
}

/** A beat reaches the server this often at most: a cancelled item hears of it within that time. */
const BEAT_SECONDS = 20;
/** Pages, claims and outcomes at the same time; each waits for the store most of its time. */
const IO_SLOTS = 50;

/**
 * Works until the signal fires, then drains: items are saved at their next step. Resolves when nothing runs any more.
 *
 * @throws RefereeError DeviceLost when the device is gone; Interrupted when the drain took longer than it may
 */
export async function serve(
  { connection, namespace }: Connected,
  settings: WorkerSettings,
  bench: Bench | undefined,
  { onError, onReady, log }: WorkerListeners,
  signal: AbortSignal,
): Promise<void> {
  const { roles, drainSeconds, identity, store, version } = settings;
  const common = {
    connection,
    namespace,
    // 0: the abort of an activity is the drain; it comes at once.
    shutdownGraceTime: 0,
    shutdownForceTime: drainSeconds * 1000,
    maxHeartbeatThrottleInterval: BEAT_SECONDS * 1000,
    ...(identity !== undefined && { identity }),
    interceptors: {
      activity: [
        (context: Parameters<typeof failuresInterceptor>[0]) => ({ inbound: failuresInterceptor(context, onError) }),
      ],
    },
  };
  const workers: Worker[] = [];
  if (roles.includes('workflows')) {
    const versioned = version && { workerDeploymentOptions: deploymentOptions(version) };
    const bundle = { taskQueue: WORKFLOW_QUEUE, workflowBundle: await workflowBundle() };
    workers.push(await Worker.create({ ...common, ...versioned, ...bundle }));
  }
  if (roles.includes('io')) {
    const activities = { ...createIoActivities({ store }) };
    workers.push(
      await Worker.create({
        ...common,
        taskQueue: IO_QUEUE,
        activities,
        maxConcurrentActivityTaskExecutions: IO_SLOTS,
      }),
    );
  }
  if (bench) {
    const { queue: taskQueue, activities, slots } = bench;
    workers.push(
      await Worker.create({
        ...common,
        taskQueue,
        activities: { ...activities },
        // Lanes are slots: a busy worker does not take tasks that it cannot run.
        maxConcurrentActivityTaskExecutions: slots,
        activityTaskPollerBehavior: { type: 'simple-maximum', maximum: Math.min(2, slots) },
      }),
    );
  }
  const stop = (): void => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  const ends = workers.map((worker) => worker.run());
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  else onReady(workers.map(({ options }) => options.taskQueue));
  try {
    const all = Promise.all(ends);
    await (bench ? Promise.race([all, bench.lost]) : all);
  } catch (error) {
    stop();
    await Promise.allSettled(ends);
    if (isRefereeError(error)) throw error;
    log('error', error instanceof Error ? error.message : String(error));
    if (!signal.aborted) throw error;
    throw new RefereeError('Interrupted', `not drained within ${drainSeconds} s`, { cause: error });
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Once, before any connection: the runtime of a process is one. Signals are ours, for exit codes. */
export function installRuntime(log: Log, metricsAddress?: string): void {
  Runtime.install({
    shutdownSignals: [],
    logger: new DefaultLogger('DEBUG', ({ level, message, meta }) => {
      if (MEANT.has(message)) return;
      const error: unknown = meta?.['error'];
      const reason = error instanceof Error ? `: ${error.message}` : typeof error === 'string' ? `: ${error}` : '';
      log(levelOf(level), `${message}${reason}`);
    }),
    telemetryOptions: {
      logging: { forward: {}, filter: { core: 'WARN', other: 'ERROR' } },
      ...(metricsAddress !== undefined && { metrics: { prometheus: { bindAddress: metricsAddress } } }),
    },
  });
}

/** Said of every worker that has one duty alone, which is what ours are. */
const MEANT: ReadonlySet<string> = new Set([
  'No workflows registered, not polling for workflow tasks',
  'No activities registered, not polling for activity tasks',
]);

function levelOf(level: string): 'debug' | 'warn' | 'error' {
  return level === 'ERROR' ? 'error' : level === 'WARN' ? 'warn' : 'debug';
}
