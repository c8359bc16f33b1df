/**
 * @file What becomes of the items of a batch, as workers finish them. The server says when something has, the store says what:
 * results are read there, among the items that can have been begun.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { finishedItem } from '../activities/library/readers.ts';
import type { PlacedResult } from '../activities/library/run-source.ts';
import { forEachOf } from '../activities/pool.ts';
import { isRefereeError, RefereeError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import type { MethodOptions } from '../inversion/options.ts';
import type { ItemId, RunId } from '../store/layout.ts';
import type { Result } from '../store/result.ts';
import { readResult } from '../store/run.ts';
import { ITEMS_PER_PAGE } from '../workflows/ids.ts';
import { windowsFor } from '../workflows/plan.ts';
import { askBatch, describeBatch } from './batches.ts';
import type { Execution } from './batches.ts';
import { workflowCounts } from './status.ts';
import type { StatusPlaces } from './status.ts';

/** Somebody who wants to know of an item: one of its places among the results. */
export interface Asker {
  readonly place: number;
  readonly index: number;
  readonly id?: string;
  readonly prompt: string;
  readonly seed: number;
}

export interface Following {
  readonly places: StatusPlaces;
  readonly run: RunId;
  /** Items in the order of the run; those that are told are taken out. */
  readonly pending: Map<ItemId, Asker[]>;
  /** Whether nothing of the run was there before: what the first look finds is new then. */
  readonly isNew: boolean;
  readonly onResult: (result: PlacedResult) => Promise<void>;
  readonly onNote: (message: string) => void;
  readonly signal: AbortSignal;
}

const POLL_MS = 1000;
/** Where the workflows do not answer, or count what the store does not have, the store is looked at again less often. */
const REPEATED_MS = 10_000;
const READS_AT_ONCE = 32;

/**
 * Tells every result. True when all were told, false when the signal fired before.
 *
 * @throws RefereeError NotFound when items lack a result and the server knows no batch that would bring it, Interrupted and
 * ItemsFailed when the batch ended before its items did
 */
export async function followResults(of: Following): Promise<boolean> {
  const { pending, signal, places, onNote } = of;
  const items = pending.size;
  const isStopped = (): boolean => signal.aborted;
  let seen: number | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  let isAway = false;
  let isReused = !of.isNew;
  while (!isStopped()) {
    const now = await stateOf(places, of.run);
    if ((now === 'away') !== isAway)
      onNote(isAway ? 'the server is there again' : 'the server does not answer: waiting');
    isAway = now === 'away';
    if (now !== 'away') {
      // Items that the workflows count and nobody was told of.
      const untold = now.finished === undefined ? Infinity : now.finished - (items - pending.size);
      const isDue = now.finished !== seen || performance.now() - readAt >= REPEATED_MS;
      if (!now.isOpen || (untold > 0 && isDue)) {
        // Asked before: what the server counts is in the store.
        await readFinished(of, now, { untold, isReused });
        isReused = false;
        readAt = performance.now();
        seen = now.finished;
      }
      if (pending.size === 0) return true;
      if (!now.isOpen && !isStopped()) return settle(of, now);
    }
    await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
  }
  return false;
}

interface Known {
  readonly isOpen: boolean;
  /** Items with a result; undefined where no worker answers. */
  readonly finished?: number | undefined;
  /** Items from the first that is not over which can have been begun; undefined where no worker answers. */
  readonly reach?: number | undefined;
  /** Undefined where the server knows no batch of the run. */
  readonly execution: Execution | undefined;
}

async function stateOf({ remote }: StatusPlaces, run: RunId): Promise<Known | 'away'> {
  try {
    const execution = await describeBatch(remote, run);
    if (execution?.state !== 'running') return { isOpen: false, execution };
    const batch = await askBatch(remote, run);
    const counts = batch && (await workflowCounts(remote, batch));
    const begun = batch && { reach: reachOf(batch.window, execution.input?.itemsPerPage ?? ITEMS_PER_PAGE) };
    return { isOpen: true, execution, ...begun, ...(counts && { finished: counts.done + counts.failed }) };
  } catch (error) {
    if (isRefereeError(error) && error.code === 'ServerUnavailable') return 'away';
    throw error;
  }
}

/** Pages are opened in their order; one more than are open may have just been closed. */
function reachOf(window: number, itemsPerPage: number): number {
  return (windowsFor(window, itemsPerPage).pages + 1) * itemsPerPage;
}

/** Looks until `untold` results are found; after the end of a batch at everything. */
async function readFinished(
  of: Following,
  { isOpen, execution, reach }: Known,
  { untold, isReused }: { readonly untold: number; readonly isReused: boolean },
): Promise<void> {
  const { places, run, pending, signal } = of;
  const mayFailStill = isOpen && execution?.input?.retryFailed === true;
  const some = [...pending.keys()].slice(0, isOpen ? reach : undefined);
  const found = new Map<ItemId, Result>();
  await forEachOf(some, READS_AT_ONCE, async (item) => {
    if (signal.aborted || (isOpen && found.size >= untold)) return;
    const result = await readResult(places.store, run, item);
    if (result && !(mayFailStill && result.state === 'failed')) found.set(item, result);
  });
  for (const item of some) {
    const result = found.get(item);
    if (result && !signal.aborted) await tell(of, item, (asker) => resultOf(of, item, { result, asker, isReused }));
  }
}

async function tell(
  { pending, onResult }: Following,
  item: ItemId,
  resultFor: (asker: Asker) => Promise<PlacedResult['result']>,
): Promise<void> {
  const askers = pending.get(item) ?? [];
  pending.delete(item);
  for (const asker of askers) await onResult({ place: asker.place, result: await resultFor(asker) });
}

interface Told {
  readonly result: Result;
  readonly asker: Asker;
  readonly isReused: boolean;
}

async function resultOf(
  { places: { store }, run }: Following,
  item: ItemId,
  { result, isReused, asker: { place: _, ...named } }: Told,
): Promise<PlacedResult['result']> {
  if (result.state === 'failed') {
    const { code = 'Internal', message = 'the search failed', hint } = result.error ?? {};
    const error = new RefereeError(code as ErrorCode, message, hint === undefined ? {} : { hint });
    return { ok: false, ...named, error };
  }
  const spec = { item, digest: result.digests.spec, options: result.settings as unknown as MethodOptions };
  const finished = await finishedItem({ store, run, packDigest: result.pack.digest }, spec);
  return { ok: true, ...named, scores: result.scores, ...finished, isReused };
}

/** The batch is over and items have no result. */
async function settle(of: Following, { execution }: Known): Promise<boolean> {
  const { run, pending, places } = of;
  const missing = `${pending.size} ${pending.size === 1 ? 'item has' : 'items have'} no result`;
  const hint = `referee resume ${run} goes on`;
  if (!execution) {
    const where = `${places.remote.address} knows no batch of it`;
    throw new RefereeError('NotFound', `run ${run}: ${missing}, and the server at ${where}`, {
      hint,
      details: { run },
    });
  }
  if (execution.state === 'cancelled' || execution.state === 'terminated')
    throw new RefereeError('Interrupted', `run ${run} was cancelled: ${missing}`, { hint, details: { run } });
  if (execution.state === 'failed')
    throw new RefereeError('ItemsFailed', `run ${run} ended before its items did: ${missing}`, {
      hint,
      details: { run },
    });
  // Counted as failed by its workflows, and not even that could be written.
  for (const item of [...pending.keys()]) {
    await tell(of, item, ({ place: _, ...named }) => {
      const error = new RefereeError('ItemsFailed', `the search of item ${item} was given up`, {
        hint,
        details: { item },
      });
      return Promise.resolve({ ok: false, ...named, error });
    });
  }
  return true;
}
