/**
 * @file The proof of a finished run: all of its records and files, then some of its items searched again.
 */
import { isRefereeError, RefereeError } from '../../errors.ts';
import type { ProviderName } from '../../models/runtime/device.ts';
import { openPack } from '../../models/packs/resolve.ts';
import type { Pack } from '../../models/packs/resolve.ts';
import type { RunId } from '../../store/layout.ts';
import type { ObjectStore } from '../../store/object-store.ts';
import { readRun } from '../../store/run.ts';
import type { RunRecord } from '../../store/run.ts';
import { checkRun } from './check-run.ts';
import type { VerifyListeners } from './place.ts';
import { VerifyPlace } from './place.ts';
import type { Counts, Replayed } from './report.ts';
import { noCounts, short } from './report.ts';

export interface VerifyRequest extends VerifyListeners {
  readonly store: ObjectStore;
  readonly run: RunId;
  /** Items to search again, spread over the run. */
  readonly replay: number | 'all';
  /** Name or folder; by default the name in `run.json`. */
  readonly pack?: string | undefined;
  readonly provider?: ProviderName | 'auto' | undefined;
  readonly threads?: number | undefined;
  readonly lanes?: number | undefined;
  readonly signal: AbortSignal;
  readonly onNote: (message: string) => void;
  /** Items searched again so far, of how many; called at every step of each. */
  readonly onReplay: (done: number, of: number) => void;
}

export interface Verification {
  readonly run: RunId;
  readonly store: string;
  /** Absent where `run.json` cannot be read. */
  readonly record?: RunRecord;
  readonly counts: Counts;
  readonly replayed: Replayed;
}

/**
 * Looks at everything that the store has of a run. Nothing is written.
 *
 * @throws RefereeError NotFound for a run that is not in the store; InvalidPack and PackNotFound, before anything is looked
 * at, where items are to be searched again and the models of the run are not here; Interrupted by the signal
 */
export async function verifyRun(request: VerifyRequest): Promise<Verification> {
  const { store, run, signal, replay: asked } = request;
  const pack = asked === 0 ? undefined : await packOf(request);
  const place = new VerifyPlace({ store, run, signal, counts: noCounts(), listeners: request });
  const { record, items } = await checkRun(place);
  const { counts } = place;
  const found = { run, store: store.root, ...(record && { record }), counts };
  const nothing = { asked, comparable: 0, searched: 0, same: 0 };
  if (asked === 0) return { ...found, replayed: nothing };
  if (pack === undefined) return { ...found, replayed: { ...nothing, note: 'run.json does not tell the pack' } };
  if (counts.unfinished > 0) return { ...found, replayed: { ...nothing, note: 'the run is not finished' } };
  const { replay } = await import('./replay.ts');
  const { provider, threads, lanes, onNote, onReplay } = request;
  const settings = { asked, pack, provider, threads, lanes, onNote, onStep: onReplay };
  return { ...found, replayed: await replay(place, items, settings) };
}

/** Undefined where the record of the run cannot be read, which the check itself tells. */
async function packOf({ store, run, pack: named }: VerifyRequest): Promise<Pack | undefined> {
  const record = await readRun(store, run).catch((error: unknown) => {
    if (isRefereeError(error) && error.code === 'InvalidStore') return undefined;
    throw error;
  });
  if (!record) return undefined;
  const hint = '--pack names the models of the run; with --replay 0 none are needed';
  const pack = await openPack(named ?? record.pack.name).catch((error: unknown) => {
    if (!isRefereeError(error)) throw error;
    throw new RefereeError(error.code, error.message, { cause: error, hint, details: error.details });
  });
  if (pack.digest === record.pack.digest) return pack;
  const digests = `found ${short(pack.digest)}, expected ${short(record.pack.digest)}`;
  throw new RefereeError('InvalidPack', `pack ${pack.manifest.name} is not the one of run ${run}: ${digests}`, {
    hint,
  });
}
