/**
 * @file The first that is written of a run, the same whoever is going to search it: this process, or workers.
 */
import type { Pack } from '../models/packs/resolve.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { createRun, writeSpec } from '../store/run.ts';
import { forEachOf } from './pool.ts';
import { writeRejections } from './rejections.ts';
import type { Rejection } from './rejections.ts';
import { promptRow, runRecord, specFile } from './run-files.ts';
import { packDefaults } from './specs.ts';
import type { ItemSpec, RunSpec } from './specs.ts';

/** Of checkpoints, picture and records of one item at 64 pixels; a share of the latent is added. */
const BYTES_PER_ITEM = 64 * 1024;
/** Specs that are on their way at one time: a bucket answers many at once, a process has so many open files. */
const OPEN_WRITES = 32;

interface Prepared {
  readonly pack: Pack;
  readonly spec: RunSpec;
  /** Items that are going to be searched. */
  readonly pending: readonly ItemSpec[];
  /** `later`: whoever searches an item writes its spec, so that the size of a run does not decide how soon it begins. */
  readonly specs: 'now' | 'later';
  readonly rejected: readonly Rejection[];
}

/**
 * Everything else that can be wrong with a request is known by now.
 * @throws RefereeError InvalidStore or StoreFull
 */
export async function prepareRun(
  store: ObjectStore,
  { pack, spec, pending, specs, rejected }: Prepared,
): Promise<'written' | 'exists'> {
  const { run, items } = spec;
  const defaults = packDefaults(pack);
  await store.check({ bytesNeeded: pending.length * BYTES_PER_ITEM });
  const made = await createRun(store, {
    run,
    record: runRecord(run, items.length, pack),
    prompts: items.map((item) => promptRow(item, defaults)),
  });
  await writeRejections(store, run, rejected);
  if (specs === 'later') return made;
  await forEachOf(pending, OPEN_WRITES, (item) => writeSpec(store, run, item.item, specFile(item, pack)));
  return made;
}
