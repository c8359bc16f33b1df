/**
 * @file Runs the searches of one run that are not finished: lanes share the device, checkpoints go to the store as they
 * fall due, finished pictures are published. Stopped at any moment, the next call goes on from the checkpoints.
 */
import { LATER } from '../inversion/search.ts';
import { AttemptLog } from './attempt-log.ts';
import type { Engine } from './engine.ts';
import type { ItemPlace } from './item-store.ts';
import type { AssignmentSource, OptimiseEvent } from './optimiser.ts';
import { Optimiser } from './optimiser.ts';
import type { ItemSpec } from './specs.ts';

export type { OptimiseEvent, Preview } from './optimiser.ts';

export interface OptimiseSettings {
  readonly lanes: number;
  readonly checkpointEvery: number;
  /** `stored`: kept as files too; `told`: only told. */
  readonly previews: 'stored' | 'told' | 'none';
  readonly signal: AbortSignal;
  /** Who works, for the logs of the attempts in the store; without it none are kept. */
  readonly worker?: string;
}

/** Where the items to search come from. */
export interface ItemSource {
  /** Undefined: there are no more. `LATER` only without `wait`: the next one is not there yet. */
  pull(how: { readonly wait: boolean }): Promise<ItemSpec | typeof LATER | undefined>;
}

/** Items that are all known. */
export function listed(items: Iterable<ItemSpec>): ItemSource {
  const iterator = items[Symbol.iterator]();
  return { pull: () => Promise.resolve(iterator.next().value as ItemSpec | undefined) };
}

/** What became of the items that got a result. */
export interface Outcome {
  readonly succeeded: number;
  readonly failed: number;
}

/**
 * Searches until the source has no more items or the signal fires. The next step begins when the last event of the one
 * before is taken; who stops taking events (`return`) gets checkpoints of everything that runs. An error of the store
 * ends everything: it would meet the next item too.
 */
export async function* optimise(
  engine: Engine,
  place: ItemPlace,
  source: ItemSource,
  { lanes, checkpointEvery, previews, signal, worker }: OptimiseSettings,
): AsyncGenerator<OptimiseEvent, Outcome, undefined> {
  const assignments: AssignmentSource = {
    pull: async (how) => {
      const spec = await source.pull(how);
      if (spec === undefined || spec === LATER) return spec;
      const { store, run } = place;
      const log = worker !== undefined && { log: new AttemptLog({ store, run, item: spec.item, worker }) };
      return { key: spec.item, spec, place, checkpointEvery, previews, ...log };
    },
  };
  const outcome = { succeeded: 0, failed: 0 };
  for await (const news of new Optimiser(engine, { lanes, signal }).run(assignments)) {
    if (news.kind === 'broken') throw news.error;
    if (news.kind === 'left') continue;
    const { event } = news;
    if (event.type === 'done') outcome.succeeded += 1;
    if (event.type === 'failed') outcome.failed += 1;
    yield event;
  }
  return outcome;
}
