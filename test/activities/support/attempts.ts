/**
 * @file Attempts at chunks without a server: activities in a mock environment, with the shapes pack on one device and real
 * records and checkpoints in a temporary folder.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Info } from '@temporalio/activity';
import { ActivityCancellationDetails } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';

import type { DeviceActivities, OptimiseChunkResult } from '../../../activities/contracts.ts';
import { createDeviceActivities } from '../../../activities/device-activities.ts';
import { Engine } from '../../../activities/engine.ts';
import { ItemSpecs } from '../../../activities/item-specs.ts';
import { Lanes } from '../../../activities/lanes.ts';
import type { OptimiseEvent } from '../../../activities/optimiser.ts';
import { prepareRun } from '../../../activities/prepare-run.ts';
import { promptRow, runRecord, specFile } from '../../../activities/run-files.ts';
import { packDefaults, resolveRun } from '../../../activities/specs.ts';
import type { DescribedItem } from '../../../activities/specs.ts';
import { openPack } from '../../../models/packs/resolve.ts';
import { openDevice } from '../../../models/runtime/node-device.ts';
import type { ObjectStore } from '../../../store/object-store.ts';
import { openStore } from '../../../store/open-store.ts';
import { createRun, writeSpec } from '../../../store/run.ts';
import type { RunId } from '../../../store/layout.ts';
import { contentDigest, itemId, runId, sha256 } from '../../../store/ids.ts';

export interface Bench extends AsyncDisposable {
  readonly engine: Engine;
}

export async function openBench(): Promise<Bench> {
  const device = await openDevice({ provider: 'cpu', threads: 1 });
  const engine = await Engine.open(await openPack('shapes'), [device]);
  return { engine, [Symbol.asyncDispose]: () => device.close() };
}

export interface PreparedRun {
  readonly folder: string;
  readonly store: ObjectStore;
  readonly run: RunId;
  readonly items: readonly DescribedItem[];
}

/** A run as `submit` writes it. */
export async function prepare(
  { engine }: Bench,
  folder: string,
  prompts: readonly string[],
  overrides: Readonly<Record<string, unknown>>,
): Promise<PreparedRun> {
  const { pack, tokenizer } = engine;
  const requests = prompts.map((prompt, index) => ({ prompt, seed: 0, index, overrides, tags: ['t'], metadata: {} }));
  const { run, items } = resolveRun(requests, pack, tokenizer);
  const store = openStore(folder);
  await prepareRun(store, {
    pack,
    spec: { run, items, notes: [], rejected: [] },
    pending: items,
    specs: 'now',
    rejected: [],
  });
  return { folder, store, run, items };
}

/** A run of one prompt that nobody has looked at: another version of referee, or a program, may have written it. */
export async function prepareUnchecked({ engine }: Bench, folder: string, prompt: string): Promise<PreparedRun> {
  const { pack } = engine;
  const options = packDefaults(pack);
  const content = { prompt, seed: 0, options, packDigest: pack.digest };
  const common = { prompt, seed: 0, index: 0, options, tags: ['t'], metadata: {}, digest: contentDigest(content) };
  const spec = { ...common, item: itemId(content) };
  const run = runId([spec.item]);
  const store = openStore(folder);
  await createRun(store, { run, record: runRecord(run, 1, pack), prompts: [promptRow(spec, options)] });
  await writeSpec(store, run, spec.item, specFile(spec, pack));
  return { folder, store, run, items: [spec] };
}

export type Flags = ConstructorParameters<typeof ActivityCancellationDetails>[0];

/** Attempts fail on purpose here. */
const QUIET = new DefaultLogger('ERROR');

export interface Attempted {
  readonly checkpointEvery?: number;
  readonly seconds?: number;
  /** Item of the run, from 0. */
  readonly index?: number;
  /** Called at every event; what it returns is why the attempt is aborted. */
  readonly onEvent?: (event: OptimiseEvent) => Flags | undefined;
  readonly info?: Partial<Info>;
  /** Of the worker, where it is not that of the run. */
  readonly store?: ObjectStore;
}

export interface Attempt {
  readonly end: ReturnType<DeviceActivities['optimiseChunk']>;
  readonly beats: unknown[];
  readonly events: OptimiseEvent[];
}

/** The activities of a worker with one lane. */
export function workerOf({ engine }: Bench, store: ObjectStore, onEvent?: (event: OptimiseEvent) => void) {
  const lanes = new Lanes(engine, { lanes: 1 });
  const specs = new ItemSpecs({ store, pack: engine.pack, tokenizer: engine.tokenizer });
  const activities = createDeviceActivities({
    ...{ store, engine, deviceClass: 'cpu test', specs, lanes },
    ...(onEvent && { onEvent }),
  });
  return { activities, lanes };
}

/** One chunk of an item; resolves when the attempt and its lane are over. */
export async function attempt(bench: Bench, prepared: PreparedRun, settings: Attempted = {}): Promise<Attempt> {
  const { checkpointEvery = 1000, seconds = 300, index = 0, onEvent, info, store = prepared.store } = settings;
  const environment = new MockActivityEnvironment({ heartbeatTimeoutMs: 60_000, ...info }, { logger: QUIET });
  const beats: unknown[] = [];
  const events: OptimiseEvent[] = [];
  environment.on('heartbeat', (details: unknown) => beats.push(details));
  const { activities, lanes } = workerOf(bench, store, (event) => {
    events.push(event);
    const flags = onEvent?.(event);
    if (flags)
      environment.cancel(
        flags.workerShutdown === true ? 'WORKER_SHUTDOWN' : 'CANCELLED',
        new ActivityCancellationDetails(flags),
      );
  });
  const { run, items } = prepared;
  const input = { v: 1, run, item: items[index]!.item, index, checkpointEvery, seconds, previews: false } as const;
  const end = environment.run<[], OptimiseChunkResult, () => Attempt['end']>(() => activities.optimiseChunk(input));
  await end.catch(() => undefined);
  await lanes.close();
  return { end, beats, events };
}

/** Digests of all files below a folder by their paths. */
export function snapshot(folder: string): Record<string, string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(files.map((file) => [file.slice(folder.length + 1), sha256(readFileSync(file))]));
}

/** Steps of the checkpoints of an item, ascending. */
export function checkpointsOf({ folder, run, items }: PreparedRun, index = 0): number[] {
  const at = join(folder, run, 'items', items[index]!.item, 'checkpoints');
  return readdirSync(at)
    .map((name) => Number(/\d+/.exec(name)![0]))
    .sort((a, b) => a - b);
}
