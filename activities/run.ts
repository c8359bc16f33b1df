/**
 * @file A run from beginning to end, in this process: check everything, say the plan, search what is not there yet,
 * publish, sum up.
 */
import { availableParallelism } from 'node:os';

import type { ProviderName } from '../models/runtime/device.ts';
import { openPack } from '../models/packs/resolve.ts';
import type { MethodOptions } from '../inversion/options.ts';
import { totalSteps } from '../inversion/state.ts';
import { contactSheetKey, itemKey, manifestKey, runKey } from '../store/layout.ts';
import type { RunId } from '../store/layout.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { openStore } from '../store/open-store.ts';
import { checkpointSteps, itemStates, readResult, writeManifest } from '../store/run.ts';
import type { ItemState } from '../store/run.ts';
import { workerIdentity } from './attempt-log.ts';
import { expectedSeconds, readBenchmark } from './benchmarks.ts';
import { writeContactSheet } from './contact-sheet.ts';
import { DEFAULT_CHECKPOINT_EVERY, DEFAULT_LANES } from './defaults.ts';
import type { Devices } from './devices.ts';
import { openDevices } from './devices.ts';
import { Engine } from './engine.ts';
import { choosePlan } from './memory-plan.ts';
import type { Plan } from './pack-models.ts';
import { forEachOf } from './pool.ts';
import { listed, optimise } from './optimise.ts';
import { prepareRun } from './prepare-run.ts';
import { PromptTokenizer } from './prompts.ts';
import type { Rejection } from './rejections.ts';
import type { PlanEvent, RunRequest, RunSummary } from './run-contract.ts';
import { toRunEvent } from './run-events.ts';
import { resolveRun } from './specs.ts';
import type { ItemSpec, RunSpec } from './specs.ts';

/** Listings of checkpoints that are asked for at the same time. */
const LISTINGS = 32;

/** Above this many items previews are off unless asked for. */
const PREVIEWS_UP_TO = 1000;

/**
 * Does what is asked, or the rest of it: the same request again goes on where an earlier one ended.
 *
 * @throws RefereeError for anything wrong with the request, before any work; items that fail are counted, not thrown
 */
export async function startRun(request: RunRequest): Promise<RunSummary> {
  const begun = performance.now();
  const { onEvent, signal } = request;
  const pack = await openPack(request.pack);
  const spec = resolveRun(request.items, pack, await PromptTokenizer.open(pack), request.onInvalid);
  const rejected = [...(request.rejected ?? []), ...spec.rejected];
  const { run } = spec;
  for (const message of spec.notes) onEvent({ type: 'note', run, message });
  const store = openStore(request.store);
  const states = await itemStates(
    store,
    run,
    spec.items.map(({ item }) => item),
  );
  const pending = spec.items.filter((_, at) => states[at] !== 'succeeded');
  await tellSkipped(request, store, spec, states);

  let outcome = { succeeded: 0, failed: 0 };
  const work = { store, pack, spec, states, pending, rejected };
  if (pending.length > 0) outcome = await search(request, work);
  else await prepareRun(store, { ...work, pending: [], specs: 'now' });
  const skipped = spec.items.length - pending.length;
  const isWhole = outcome.succeeded + outcome.failed === pending.length;
  await writeManifest(
    store,
    run,
    spec.items.map(({ item }) => item),
  );
  const sheet = isWhole ? await writeContactSheet(store, spec) : false;
  return {
    run,
    folder: locateFolder(store, run),
    succeeded: outcome.succeeded + skipped,
    failed: outcome.failed,
    skipped,
    ...(rejected.length > 0 && { rejected: rejected.length }),
    unfinished: pending.length - outcome.succeeded - outcome.failed,
    interrupted: signal.aborted && !isWhole,
    seconds: (performance.now() - begun) / 1000,
    manifest: store.locate(manifestKey(run)),
    ...(sheet && { contactSheet: store.locate(contactSheetKey(run)) }),
  };
}

interface Search {
  readonly store: ObjectStore;
  readonly pack: Engine['pack'];
  readonly spec: RunSpec;
  readonly states: readonly ItemState[];
  readonly pending: readonly ItemSpec[];
  readonly rejected: readonly Rejection[];
}

async function search(request: RunRequest, work: Search): Promise<{ succeeded: number; failed: number }> {
  const { store, pack, spec, states, pending } = work;
  const { onEvent, signal, threads } = request;
  const { run } = spec;
  await using devices = await openDevices({
    provider: request.provider as ProviderName | 'auto',
    threads: threads ?? Math.min(availableParallelism(), Math.max(2, pending.length)),
    log: (message) => onEvent({ type: 'note', run, message }),
  });
  const lanes = Math.min(request.lanes ?? DEFAULT_LANES, pending.length);
  const chosen = await choosePlan(pack, devices, { lanes, items: pending });
  const { plan, bytes } = chosen;
  const engine = await Engine.open(pack, devices.all, chosen);
  await prepareRun(store, { ...work, specs: 'now' });
  const items = await remaining(store, spec, pending);
  onEvent({
    type: 'plan',
    run,
    folder: locateFolder(store, run),
    items: spec.items.length,
    skipped: states.filter((state) => state === 'succeeded').length,
    continued: states.filter((state) => state === 'started').length,
    started: states.filter((state) => state === 'missing' || state === 'failed').length,
    pack: { name: pack.manifest.name, version: pack.manifest.version, digest: pack.digest },
    provider: devices.provider,
    threads: devices.all.length,
    plan: plan.kind,
    lanes,
    memoryBytes: bytes,
    steps: items.reduce((sum, { options, done }) => sum + totalSteps(options) - done, 0),
    ...(await estimate(request, { pack, devices, plan: plan.kind, lanes, items })),
  });
  const place = {
    store,
    run,
    packDigest: pack.digest,
    deviceClass: devices.deviceClass,
    latentShape: engine.models.latentShape,
  };
  const hasPreviews = request.previews ?? spec.items.length <= PREVIEWS_UP_TO;
  const events = optimise(engine, place, listed(pending), {
    lanes,
    checkpointEvery: request.checkpointEvery ?? DEFAULT_CHECKPOINT_EVERY,
    previews: hasPreviews ? 'stored' : 'none',
    signal,
    worker: workerIdentity(),
  });
  for (;;) {
    const next = await events.next();
    if (next.done) return next.value;
    onEvent(toRunEvent(next.value));
  }
}

interface Remaining {
  readonly options: MethodOptions;
  /** Steps that are done. */
  readonly done: number;
}

async function remaining(
  store: ObjectStore,
  { run }: RunSpec,
  pending: readonly ItemSpec[],
): Promise<readonly Remaining[]> {
  const found: Remaining[] = [];
  await forEachOf(pending.entries(), LISTINGS, async ([at, { item, options }]) => {
    found[at] = { options, done: await checkpointSteps(store, run, item) };
  });
  return found;
}

interface Planned {
  readonly pack: Engine['pack'];
  readonly devices: Devices;
  readonly plan: Plan['kind'];
  readonly lanes: number;
  readonly items: readonly Remaining[];
}

/** From what `referee doctor --benchmark` has measured with this pack, provider and number of threads, if it has. */
async function estimate(
  { cache }: RunRequest,
  { pack, devices, plan, lanes, items }: Planned,
): Promise<Pick<PlanEvent, 'secondsExpected' | 'secondsFrom'>> {
  if (cache === undefined) return {};
  const { provider, deviceClass, all } = devices;
  const key = {
    pack: { name: pack.manifest.name, digest: pack.digest },
    provider,
    threads: all.length,
    deviceClass,
    plan,
  };
  const benchmark = await readBenchmark(cache, key);
  if (!benchmark) return {};
  const secondsFrom = `from referee doctor --benchmark of ${benchmark.date.slice(0, 10)}`;
  return { secondsExpected: expectedSeconds(benchmark, { lanes, items }), secondsFrom };
}

async function tellSkipped(
  { onEvent }: RunRequest,
  store: ObjectStore,
  { run, items }: RunSpec,
  states: readonly ItemState[],
): Promise<void> {
  for (const [at, { item, index, prompt, seed }] of items.entries()) {
    if (states[at] !== 'succeeded') continue;
    const scores = (await readResult(store, run, item))?.scores ?? {};
    onEvent({
      type: 'skipped',
      run,
      item,
      index,
      prompt,
      seed,
      path: store.locate(itemKey(run, item, 'image.png')),
      scores,
    });
  }
}

function locateFolder(store: ObjectStore, run: RunId): string {
  return store.locate(runKey(run)).replace(/\/[^/]*$/, '');
}
