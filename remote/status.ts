/**
 * @file The state of a run, from whoever knows it: its workflows while they answer, the server, the store.
 */
import { readRejections } from '../activities/rejections.ts';
import { isRefereeError, RefereeError } from '../errors.ts';
import { asRunId } from '../store/layout.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { readRun } from '../store/run.ts';
import { deviceQueue } from '../workflows/ids.ts';
import { NO_ITEMS } from '../workflows/messages.ts';
import { addCounts } from '../workflows/plan.ts';
import type { BatchStatus, ItemCounts, RunState } from '../workflows/messages.ts';
import { askBatch, askPage, batchResult, countWorkers, describeBatch } from './batches.ts';
import type { Execution, Workers } from './batches.ts';
import type { Remote } from './connection.ts';
import { storedCounts } from './store-counts.ts';
import type { BatchPhase } from './store-counts.ts';

export interface RunStatus {
  readonly run: string;
  readonly state: RunState;
  readonly items: number;
  readonly counts: ItemCounts;
  /** Lines of the input that could not become items; absent where there are none, and where nobody has looked. */
  readonly rejected?: number;
  /** Of the batch; absent for a run that no server knows. */
  readonly round?: number;
  readonly startedAt?: string;
  readonly closedAt?: string;
  /** Where the counts are from. `store`: no worker answers, or nobody remembers the batch. */
  readonly source: 'workflows' | 'store';
  readonly workers?: Workers;
  /** Items per second, and seconds until the last one; only where they mean something. */
  readonly rate?: number;
  readonly secondsLeft?: number;
  /** Why the batch has failed. */
  readonly error?: { readonly code: string; readonly message: string };
  /** What is worth knowing and is no error. */
  readonly notes: readonly string[];
}

export interface StatusPlaces {
  readonly remote: Remote;
  readonly store: ObjectStore;
}

/** Pages that are asked at one time. */
const PAGES_AT_ONCE = 16;
/** A rate from fewer items or less time says nothing about the time left. */
const MEANINGFUL_ITEMS = 5;
const MEANINGFUL_SECONDS = 10;

/** @throws RefereeError NotFound for a run that neither the server nor the store knows */
export async function runStatus(places: StatusPlaces, id: string): Promise<RunStatus> {
  const run = asRunId(id);
  const { remote, store } = places;
  const execution = await describeBatch(remote, run);
  if (!execution) return storedStatus(places, id);
  if (execution.state === 'running') return openStatus(places, execution);
  const counts = await closedCounts(places, execution);
  return {
    run,
    state: closedState(execution, counts),
    items: total(counts),
    counts,
    source: 'store',
    ...known(execution),
    ...(execution.failure && { error: execution.failure }),
    notes: (await readRun(store, run))
      ? []
      : [`the store ${store.root} has no run ${run}: name its store with --store`],
  };
}

async function openStatus(places: StatusPlaces, execution: Execution): Promise<RunStatus> {
  const { remote, store } = places;
  const { run, input } = execution;
  const workers = input && (await countWorkers(remote, input.deviceQueue));
  const { batch, refusal } = workers?.workflows === 0 ? {} : await asked(remote, run);
  const counts = batch
    ? await workflowCounts(remote, batch)
    : await storedCounts(store, asRunId(run), 'open').then((found) => filledUp(found, input?.items ?? 0));
  return {
    run,
    state: batch?.state ?? 'running',
    items: batch?.items ?? input?.items ?? total(counts),
    counts,
    source: batch ? 'workflows' : 'store',
    ...known(execution),
    ...(workers && { workers }),
    ...pace(execution, counts),
    notes: refusal ? [refusal] : missingWorkers(workers, counts, batch !== undefined),
  };
}

/** A version that cannot go on with the run is worth a note: everything else is known without it. */
async function asked(remote: Remote, run: string): Promise<{ batch?: BatchStatus; refusal?: string }> {
  try {
    const batch = await askBatch(remote, run);
    return batch ? { batch } : {};
  } catch (error) {
    if (!isRefereeError(error) || error.code !== 'OtherVersion') throw error;
    return { refusal: `${error.message}: ${error.hint}` };
  }
}

/** Counts of the batch and of the pages that are open, which count their items themselves. */
export async function workflowCounts(remote: Remote, batch: BatchStatus): Promise<ItemCounts> {
  let counts = batch.counts;
  for (let at = 0; at < batch.openPages.length; at += PAGES_AT_ONCE) {
    const asked = batch.openPages.slice(at, at + PAGES_AT_ONCE).map((page) => askPage(remote, page));
    for (const page of await Promise.all(asked)) if (page) counts = addCounts(counts, page.counts);
  }
  return filledUp(counts, batch.items);
}

/** A page that has just been opened does not know its items yet: they wait. */
export function filledUp(counts: ItemCounts, items: number): ItemCounts {
  return { ...counts, queued: counts.queued + Math.max(0, items - total(counts)) };
}

async function closedCounts({ remote, store }: StatusPlaces, execution: Execution): Promise<ItemCounts> {
  const run = asRunId(execution.run);
  const phase = phaseOf(execution);
  if (execution.state === 'completed') {
    const { counts } = await batchResult(remote, run);
    // Whatever is not done may have been done since, by a `referee run` on the same store.
    if (counts.done === total(counts)) return counts;
    return (await readRun(store, run)) ? storedCounts(store, run, phase) : counts;
  }
  return (await readRun(store, run))
    ? storedCounts(store, run, phase)
    : { ...NO_ITEMS, [phase === 'ended' ? 'failed' : 'cancelled']: execution.input?.items ?? 0 };
}

/** What items without a result are. */
export function phaseOf(execution: Pick<Execution, 'state'> | undefined): BatchPhase {
  switch (execution?.state) {
    case 'running':
      return 'open';
    case 'completed':
    case 'failed':
      return 'ended';
    case 'cancelled':
    case 'terminated':
    case undefined:
      return 'cancelled';
  }
}

/** Of a run that no server knows: begun by `run`, or closed longer ago than the server remembers. */
async function storedStatus({ store, remote }: StatusPlaces, id: string): Promise<RunStatus> {
  const run = asRunId(id);
  const record = await readRun(store, run);
  if (!record) {
    throw new RefereeError(
      'NotFound',
      `run ${run} is neither on the server at ${remote.address} nor in ${store.root}`,
      {
        hint: 'referee status lists the runs of the server; --store names another store',
        details: { run },
      },
    );
  }
  const counts = await storedCounts(store, run, 'cancelled');
  const isWhole = counts.cancelled === 0;
  return {
    run,
    state: isWhole ? 'completed' : 'cancelled',
    items: record.items,
    counts,
    source: 'store',
    notes: isWhole ? [] : [`no batch of this run is on the server: referee resume ${run} begins one`],
  };
}

/** With the lines that were rejected, which the store alone knows: it may be away while workflows answer. */
export async function withRejected(status: RunStatus, store: ObjectStore): Promise<RunStatus> {
  try {
    const { length } = await readRejections(store, asRunId(status.run));
    return length === 0 ? status : { ...status, rejected: length };
  } catch (error) {
    if (!isRefereeError(error)) throw error;
    return { ...status, notes: [...status.notes, `rejected lines are not counted: ${error.message}`] };
  }
}

function closedState({ state }: Execution, counts: ItemCounts): RunState {
  if (state === 'failed') return 'failed';
  return counts.cancelled === 0 ? 'completed' : 'cancelled';
}

function known({ startedAt, closedAt, input }: Execution): Partial<RunStatus> {
  return {
    ...(input && { round: input.round }),
    startedAt: startedAt.toISOString(),
    ...(closedAt && { closedAt: closedAt.toISOString() }),
  };
}

/** Only in the first round: later ones count what was there before. */
function pace({ startedAt, input }: Execution, counts: ItemCounts): Pick<RunStatus, 'rate' | 'secondsLeft'> {
  const seconds = (Date.now() - startedAt.getTime()) / 1000;
  const finished = counts.done + counts.failed;
  if (input?.round !== 0 || finished < MEANINGFUL_ITEMS || seconds < MEANINGFUL_SECONDS) return {};
  const rate = finished / seconds;
  return { rate, secondsLeft: (counts.queued + counts.running) / rate };
}

function missingWorkers(workers: Workers | undefined, counts: ItemCounts, isAnswered: boolean): string[] {
  if (!workers) return isAnswered ? [] : ['no worker answers; counts are those of the store'];
  const notes: string[] = [];
  if (!isAnswered) notes.push('no worker answers for workflows; counts are those of the store');
  if (workers.workflows === 0) notes.push('no worker polls the queue referee.workflows');
  if (workers.io === 0) notes.push('no worker polls the queue referee.io');
  // A worker with all its lanes taken does not ask for more; if every item that is open waits, there is none.
  if (workers.device === 0 && workers.waiting >= counts.running && counts.queued + counts.running > 0)
    notes.push(`no worker polls the queue ${workers.deviceQueue}`);
  return notes;
}

export function total({ queued, running, done, failed, cancelled }: ItemCounts): number {
  return queued + running + done + failed + cancelled;
}

/** Queue of the searches of a run, for messages. */
export async function queueOf(store: ObjectStore, run: string, deviceClass?: string): Promise<string | undefined> {
  const record = await readRun(store, asRunId(run));
  return record && deviceQueue(record.pack.digest, deviceClass);
}
