/**
 * @file Activities that need no device and no pack: what a batch must know of the store.
 */
import { Context } from '@temporalio/activity';

import { asItemId, asRunId } from '../store/layout.ts';
import type { RunId } from '../store/layout.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { checkpointSteps, itemStanding, promptRows, readRun, writeManifest } from '../store/run.ts';
import { RefereeError } from '../errors.ts';
import { beating } from './beating.ts';
import { writeContactSheet } from './contact-sheet.ts';
import type {
  ClaimItemInput,
  ClaimItemResult,
  FinaliseRunInput,
  IoActivities,
  LoadPageInput,
  LoadPageResult,
} from './contracts.ts';

export interface IoDependencies {
  readonly store: ObjectStore;
}

/** A code is a word, whoever has written the result. */
const CODE_LENGTH = 64;

export function createIoActivities({ store }: IoDependencies): IoActivities {
  return {
    loadPage: (input) => beating(() => loadPage(store, input)),
    claimItem: (input) => beating(() => claimItem(store, input)),

    async finaliseRun({ run, items }: FinaliseRunInput) {
      const { heartbeat } = Context.current();
      const id = asRunId(run);
      const rows = await promptRows(store, id, { from: 0, count: items });
      const named = rows.map(({ item, prompt, seed }) => ({ item: asItemId(item), prompt, seed }));
      const ids = named.map(({ item }) => item);
      const finished = await writeManifest(store, id, ids, (done) => heartbeat(done));
      // As `run` does it: a sheet of what is there so far would look like the whole.
      if (finished === ids.length) await writeContactSheet(store, { run: id, items: named }, (done) => heartbeat(done));
    },
  };
}

async function loadPage(store: ObjectStore, { run, page, itemsPerPage }: LoadPageInput): Promise<LoadPageResult> {
  const id = asRunId(run);
  const rows = await promptRows(store, id, { from: page * itemsPerPage, count: itemsPerPage });
  if (rows.length === 0) throw await missing(store, id);
  return { items: rows.map(({ item }) => item) };
}

async function claimItem(store: ObjectStore, { run, item, retryFailed }: ClaimItemInput): Promise<ClaimItemResult> {
  const [runOf, itemOf] = [asRunId(run), asItemId(item)];
  const standing = await itemStanding(store, runOf, itemOf);
  if ('step' in standing) return { state: 'open', step: standing.step };
  if (standing.state === 'succeeded') return { state: 'done', step: standing.result.steps };
  const step = await checkpointSteps(store, runOf, itemOf);
  if (retryFailed) return { state: 'open', step };
  const code = standing.result.error?.code.slice(0, CODE_LENGTH);
  return { state: 'failed', step, ...(code !== undefined && { code }) };
}

async function missing(store: ObjectStore, run: RunId): Promise<RefereeError> {
  const isThere = (await readRun(store, run)) !== undefined;
  const what = isThere ? 'has no prompts at this place' : 'is not in the store';
  return new RefereeError('NotFound', `run ${run} ${what}: ${store.root}`);
}
