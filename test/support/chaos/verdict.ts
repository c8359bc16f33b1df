/**
 * @file The end of a trial: the same prompts undisturbed, the proofs, what each fault has cost.
 */
import { join } from 'node:path';

import type { Batch } from './batch.ts';
import { costsOf, ledgerOf } from './ledger.ts';
import type { Blow, Entry } from './ledger.ts';
import type { ChaosOptions } from './options.ts';
import { inspectRun } from './proofs.ts';
import { kindRows, repeatedTooOften, spoiledCalls } from './report.ts';
import type { ChaosReport } from './report.ts';
import type { FaultKind } from './schedule.ts';
import type { Setup } from './setup.ts';
import { runUndisturbed } from './undisturbed.ts';

/** What has happened. */
export interface Course {
  readonly batches: readonly (Batch & { readonly prompts: readonly string[] })[];
  readonly blows: readonly Blow<FaultKind>[];
  readonly entries: readonly Entry[];
  readonly seconds: number;
}

/** Where a proof fails, the folder with logs, database and objects stays. */
export async function verdict(
  { seed, checkpointEvery, steps, referee, say }: ChaosOptions,
  { folder, store, workers, proxy, keep }: Setup,
  { batches, blows, entries, seconds }: Course,
): Promise<ChaosReport> {
  const prompts = batches.flatMap((batch) => batch.prompts);
  const undisturbed = await runUndisturbed({ referee, prompts, steps, folder, name: 'undisturbed' });
  const found = batches.map(({ run, items }) => inspectRun(join(store.folder, run), items, undisturbed));
  const results = await Promise.all(batches.map((batch) => batch.result));
  const ledger = ledgerOf(entries);
  const proofs = {
    lost: found.flatMap(({ lost }) => lost),
    duplicated: found.flatMap(({ duplicated }) => duplicated),
    torn: found.flatMap(({ torn }) => torn),
    unequal: found.flatMap(({ unequal }) => unequal),
    tooOften: repeatedTooOften(ledger, checkpointEvery),
  };
  const done = results.reduce((sum, { counts }) => sum + counts.done, 0);
  const isClean = Object.values(proofs).every((list) => list.length === 0);
  const ok = isClean && done === prompts.length;
  if (!ok) {
    keep();
    say(`kept to be looked at: ${folder}`);
  }
  const again = ledger.repeats.map(({ from, reached }) => reached - from);
  return {
    ...{ v: 1, seed, ok, seconds, checkpointEvery, done, proofs },
    batches: batches.length,
    items: prompts.length,
    faults: kindRows(costsOf(entries, blows)),
    calls: spoiledCalls(proxy.seen),
    steps: {
      ...{ made: ledger.made, distinct: ledger.distinct, alongside: ledger.alongside, attempts: ledger.attempts },
      repeated: again.reduce((sum, each) => sum + each, 0),
      mostRepeated: Math.max(0, ...again),
    },
    ownEnds: workers.flatMap(({ ownEnds }) => ownEnds),
    warnings: summed(workers.map((worker) => worker.warnings())),
  };
}

function summed(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [name, count] of all.flatMap((each) => Object.entries(each))) sums[name] = (sums[name] ?? 0) + count;
  return sums;
}
