/**
 * @file A batch begun: the whole request checked, the run written to the store as `run` writes it, the workflow started;
 * and further rounds of a batch that has ended, for what is still missing.
 */
import { prepareRun } from '../activities/prepare-run.ts';
import { PromptTokenizer } from '../activities/prompts.ts';
import type { OnInvalid, Rejection } from '../activities/rejections.ts';
import type { RunItemRequest } from '../activities/run-contract.ts';
import { resolveRun } from '../activities/specs.ts';
import type { RunSpec } from '../activities/specs.ts';
import { RefereeError } from '../errors.ts';
import { openPack } from '../models/packs/resolve.ts';
import type { Pack } from '../models/packs/resolve.ts';
import { asRunId } from '../store/layout.ts';
import type { RunId } from '../store/layout.ts';
import { readRun } from '../store/run.ts';
import { WORKFLOW_QUEUE } from '../workflows/ids.ts';
import type { BatchInput } from '../workflows/messages.ts';
import { batchInput, controlBatch, askBatch, describeBatch, startBatch } from './batches.ts';
import type { BatchSettings, Execution } from './batches.ts';
import type { StatusPlaces } from './status.ts';
import { storedItems } from './store-counts.ts';

export interface SubmitRequest {
  readonly items: readonly RunItemRequest[];
  /** Name or folder. */
  readonly pack: string;
  readonly onInvalid?: OnInvalid;
  /** Lines that could not be read. */
  readonly rejected?: readonly Rejection[];
  readonly settings: BatchSettings;
}

/** What came of it. `nothing`: every item has a result, or those that have none were not asked for. */
export type Begun = 'started' | 'attached' | 'resumed' | 'nothing';

export interface Submitted {
  readonly run: RunId;
  readonly items: number;
  readonly begun: Begun;
  /** Items that go on from a checkpoint, begin, are there, and have failed; absent where nobody looked. */
  readonly plan?: RoundPlan;
  readonly rejected: number;
  readonly notes: readonly string[];
}

export interface RoundPlan {
  readonly continued: number;
  readonly started: number;
  readonly skipped: number;
  readonly failed: number;
}

/** @throws RefereeError for anything wrong with the request, before the server hears of it */
export async function submitRun(places: StatusPlaces, request: SubmitRequest): Promise<Submitted> {
  const pack = await openPack(request.pack);
  const spec = resolveRun(request.items, pack, await PromptTokenizer.open(pack), request.onInvalid);
  const rejected = [...(request.rejected ?? []), ...spec.rejected];
  return submitSpec(places, { pack, spec, rejected, settings: request.settings });
}

export interface SpecRequest {
  readonly pack: Pack;
  readonly spec: RunSpec;
  readonly rejected: readonly Rejection[];
  readonly settings: BatchSettings;
}

/** The same, of items that are resolved. */
export async function submitSpec(places: StatusPlaces, request: SpecRequest): Promise<Submitted> {
  const { remote, store } = places;
  const { pack, spec, rejected } = request;
  const { run, items } = spec;
  const made = await prepareRun(store, { pack, spec, pending: items, specs: 'later', rejected });
  const of = { run, items: items.length, packDigest: pack.digest };
  const common = { run, items: items.length, rejected: rejected.length };
  const execution = made === 'exists' ? await describeBatch(remote, run) : undefined;
  if (execution?.state === 'running') {
    const { isAccepted } = await startBatch(remote, batchInput(of, request.settings, nextRound(execution, false)));
    const notes = [...spec.notes, 'the run is going on already: attached to it', ...waiting(isAccepted)];
    return { ...common, begun: 'attached', notes };
  }
  const plan = made === 'exists' ? await planRound(places, run) : undefined;
  if (plan && plan.continued + plan.started === 0 && isSummedUp(execution))
    return { ...common, begun: 'nothing', plan, notes: [...spec.notes, ...nothingToDo(run, plan)] };
  const { isAttached, isAccepted } = await startBatch(
    remote,
    batchInput(of, request.settings, nextRound(execution, false)),
  );
  return {
    ...common,
    begun: isAttached ? 'attached' : execution ? 'resumed' : 'started',
    ...(plan && { plan }),
    notes: [...spec.notes, ...(plan ? [planText(plan)] : []), ...waiting(isAccepted)],
  };
}

/** A paused batch goes on; a closed one begins its next round, from the checkpoints. */
export async function resumeRun(places: StatusPlaces, id: string): Promise<Submitted> {
  const run = asRunId(id);
  const { remote } = places;
  const execution = await describeBatch(remote, run);
  if (execution?.state === 'running') {
    const items = execution.input?.items ?? 0;
    const status = await askBatch(remote, run);
    const isPaused = status?.state !== 'running';
    if (isPaused) await controlBatch(remote, run, { paused: false });
    const notes = [isPaused ? 'the run goes on' : 'the run is going on: nothing to do'];
    return { run, items, rejected: 0, begun: isPaused ? 'resumed' : 'nothing', notes };
  }
  return anotherRound(places, run, { execution, retryFailed: false });
}

/** Failed items again. @throws RefereeError InvalidInput while the batch is running */
export async function retryRun(places: StatusPlaces, id: string): Promise<Submitted> {
  const run = asRunId(id);
  const execution = await describeBatch(places.remote, run);
  if (execution?.state === 'running') {
    throw new RefereeError(
      'InvalidInput',
      `run ${run}: is going on; failed items can be searched again when it has ended`,
      {
        hint: `referee watch ${run}`,
      },
    );
  }
  return anotherRound(places, run, { execution, retryFailed: true });
}

interface Another {
  readonly execution: Execution | undefined;
  readonly retryFailed: boolean;
}

async function anotherRound(places: StatusPlaces, run: RunId, { execution, retryFailed }: Another): Promise<Submitted> {
  const { remote, store } = places;
  const record = await readRun(store, run);
  if (!record) {
    throw new RefereeError('NotFound', `run ${run} is not in the store ${store.root}`, {
      hint: '--store names another store',
      details: { run },
    });
  }
  const { items } = record;
  const plan = await planRound(places, run);
  // A batch that came to its end by itself has left no item open but those that failed without a record.
  const isCancelled = execution?.state === 'cancelled';
  const open = plan.continued + plan.started;
  const failed = plan.failed + (isCancelled ? 0 : open);
  const wanted = retryFailed ? failed : open;
  if (wanted === 0 && (isSummedUp(execution) || (retryFailed && isCancelled)))
    return { run, items, rejected: 0, begun: 'nothing', plan, notes: nothingToDo(run, plan, retryFailed) };
  const round = nextRound(execution, retryFailed);
  const of = { run, items, packDigest: record.pack.digest };
  const input: BatchInput = execution?.input
    ? { ...withoutCursor(execution.input), ...round, items }
    : batchInput(of, {}, round);
  const { isAccepted } = await startBatch(remote, input);
  const notes = [
    ...(retryFailed ? [`${failed} failed items are searched again`] : []),
    ...(retryFailed && open === 0 ? [] : [planText(plan)]),
    ...waiting(isAccepted),
  ];
  return { run, items, rejected: 0, begun: 'resumed', plan, notes };
}

/** Whether the last round came to its end; otherwise another one writes what is missing beside the items. */
function isSummedUp(execution: Execution | undefined): boolean {
  return (execution?.state ?? 'completed') === 'completed';
}

/** What a further round would find. */
export async function planRound({ store }: StatusPlaces, run: RunId): Promise<RoundPlan> {
  const plan = { continued: 0, started: 0, skipped: 0, failed: 0 };
  const fields = { started: 'continued', missing: 'started', succeeded: 'skipped', failed: 'failed' } as const;
  for await (const { state } of storedItems(store, run)) plan[fields[state]] += 1;
  return plan;
}

export function planText({ continued, started, skipped, failed }: RoundPlan): string {
  const rest = failed > 0 ? `, ${failed} failed` : '';
  return `${continued} continue from a checkpoint, ${started} start, ${skipped} are there${rest}`;
}

function nothingToDo(run: string, { failed, continued, started }: RoundPlan, retryFailed = false): string[] {
  const open = continued + started;
  if (retryFailed && open > 0) {
    return [`nothing to do: no item has failed; referee resume ${run} goes on with the ${open} that have no result`];
  }
  if (retryFailed) return ['nothing to do: no item has failed'];
  if (failed === 0) return ['nothing to do: every image is there'];
  return [`nothing to do: every item has a result; referee retry ${run} searches the ${failed} failed ones again`];
}

/** Of a batch that has ended, the next; its workflows have names of their own. */
function nextRound(before: Execution | undefined, retryFailed: boolean): { round: number; retryFailed: boolean } {
  if (!before) return { round: 0, retryFailed };
  if (before.state === 'running') return { round: before.input?.round ?? 0, retryFailed };
  return { round: (before.input?.round ?? 0) + 1, retryFailed };
}

function withoutCursor({ cursor: _, ...input }: BatchInput): BatchInput {
  return input;
}

function waiting(isAccepted: boolean): string[] {
  return isAccepted ? [] : [`the run waits on the server: no worker polls the queue ${WORKFLOW_QUEUE}`];
}
