/**
 * @file Activities that need no device and no pack: what a batch must know of the store.
 */
import { Context } from '@temporalio/activity';

import { asItemId, asRunId } from '../store/layout.ts';
import type { RunId } from '../store/layout.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { itemState, promptRows, readResult, readRun, writeManifest } from '../store/run.ts';
import { RefereeError } from '../errors.ts';
import { checkpointSteps } from './checkpoint-steps.ts';
import type { ClaimItemInput, ClaimItemResult, FinaliseRunInput, IoActivities, LoadPageInput } from './contracts.ts';

export interface IoDependencies {
  readonly store: ObjectStore;
}

/** A code is a word, whoever has written the result. */
const CODE_LENGTH = 64;

export function createIoActivities({ store }: IoDependencies): IoActivities {
  return {
    async loadPage({ run, page, itemsPerPage }: LoadPageInput) {
      const id = asRunId(run);
      const rows = await promptRows(store, id, { from: page * itemsPerPage, count: itemsPerPage });
      if (rows.length === 0) throw await missing(store, id);
      return { items: rows.map(({ item }) => item) };
    },

    async claimItem({ run, item, retryFailed }: ClaimItemInput): Promise<ClaimItemResult> {
      const [runOf, itemOf] = [asRunId(run), asItemId(item)];
      const state = await itemState(store, runOf, itemOf);
      const result = await readResult(store, runOf, itemOf);
      const step = await checkpointSteps(store, runOf, itemOf);
      if (state === 'succeeded') return { state: 'done', step: result?.steps ?? step };
      if (state === 'failed' && !retryFailed) {
        const code = result?.error?.code.slice(0, CODE_LENGTH);
        return { state: 'failed', step, ...(code !== undefined && { code }) };
      }
      return { state: 'open', step };
    },

    async finaliseRun({ run, items }: FinaliseRunInput) {
      const { heartbeat } = Context.current();
      const id = asRunId(run);
      const rows = await promptRows(store, id, { from: 0, count: items });
      await writeManifest(
        store,
        id,
        rows.map(({ item }) => asItemId(item)),
        (done) => heartbeat(done),
      );
    },
  };
}

async function missing(store: ObjectStore, run: RunId): Promise<RefereeError> {
  const isThere = (await readRun(store, run)) !== undefined;
  const what = isThere ? 'has no prompts at this place' : 'is not in the store';
  return new RefereeError('NotFound', `run ${run} ${what}: ${store.root}`);
}
