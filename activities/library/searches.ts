/**
 * @file The heavy part of the library, loaded by the first search: devices are opened for the items of a source and closed
 * when they are done, whichever way that is.
 */
import { availableParallelism } from 'node:os';

import type { ProviderName } from '../../models/runtime/device.ts';
import type { RunId } from '../../store/layout.ts';
import { openDevices } from '../devices.ts';
import { Engine } from '../engine.ts';
import { choosePlan } from '../memory-plan.ts';
import { optimise } from '../optimise.ts';
import type { ItemSource, OptimiseEvent, OptimiseSettings } from '../optimise.ts';
import type { ItemSpec } from '../specs.ts';
import type { Workplace } from './workplace.ts';

export interface SearchJob {
  readonly workplace: Workplace;
  readonly run: RunId;
  readonly source: ItemSource;
  /** What is known of the items to come; more may be in the source. */
  readonly known: readonly ItemSpec[];
  readonly provider: ProviderName | 'auto';
  readonly threads: number | undefined;
  readonly settings: OptimiseSettings;
}

/** Searches everything that the source has. No device is opened where it has nothing. */
export async function* searchAll(job: SearchJob): AsyncGenerator<OptimiseEvent, void, undefined> {
  const { workplace, run, source, known, settings } = job;
  const { pack, store } = workplace;
  const first = await source.pull({ wait: true });
  if (first === undefined || first === 'later') return;
  await using devices = await openDevices({
    provider: job.provider,
    threads: job.threads ?? Math.min(availableParallelism(), Math.max(2, settings.lanes)),
  });
  if (settings.signal.aborted) return;
  const items = known.length > 0 ? known : [first];
  const chosen = await choosePlan(pack, devices, {
    lanes: settings.lanes,
    items,
    isOpen: known.length === 0,
  });
  const engine = await Engine.open(pack, devices.all, chosen);
  const { latentShape } = engine.models;
  const place = { store, run, packDigest: pack.digest, deviceClass: devices.deviceClass, latentShape };
  yield* optimise(engine, place, beginningWith(first, source), settings);
}

function beginningWith(first: ItemSpec, source: ItemSource): ItemSource {
  let held: ItemSpec | undefined = first;
  return {
    pull: (how) => {
      const given = held;
      held = undefined;
      return given ? Promise.resolve(given) : source.pull(how);
    },
  };
}
