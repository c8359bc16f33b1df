/**
 * @file The first that is written of a run, the same whoever is going to search it: this process, or workers.
 */
import type { Pack } from '../models/packs/resolve.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { createRun } from '../store/run.ts';
import { writeRejections } from './rejections.ts';
import type { Rejection } from './rejections.ts';
import { promptRow, runRecord } from './run-files.ts';
import type { RunSpec } from './specs.ts';

/** Of checkpoints, picture and records of one item at 64 pixels; a share of the latent is added. */
const BYTES_PER_ITEM = 64 * 1024;

interface Prepared {
  readonly pack: Pack;
  readonly spec: RunSpec;
  /** Items that are going to be searched. */
  readonly pending: number;
  readonly rejected: readonly Rejection[];
}

/**
 * Everything else that can be wrong with a request is known by now.
 * @throws RefereeError InvalidStore or StoreFull
 */
export async function prepareRun(
  store: ObjectStore,
  { pack, spec, pending, rejected }: Prepared,
): Promise<'written' | 'exists'> {
  const { run, items } = spec;
  await store.check({ bytesNeeded: pending * BYTES_PER_ITEM });
  const made = await createRun(store, {
    run,
    record: runRecord(run, items.length, pack),
    prompts: items.map(promptRow),
  });
  await writeRejections(store, run, rejected);
  return made;
}
