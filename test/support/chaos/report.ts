/**
 * @file What a trial has shown: proofs, and what each kind of fault has cost, as data and as lines.
 */
import type { Found } from './proofs.ts';
import type { Cost, Ledger } from './ledger.ts';
import type { FaultKind } from './schedule.ts';
import { CALL_FAULTS, FAULT_KINDS } from './schedule.ts';
import type { OwnEnd } from './worker.ts';

export interface KindRow {
  readonly kind: FaultKind;
  readonly count: number;
  /** Searches that were hit. */
  readonly searches: number;
  /** Steps made again, over all searches. */
  readonly repeated: number;
  /** Until a search that was hit made a step that it had not made before. */
  readonly seconds: { readonly median: number; readonly longest: number };
}

export interface ChaosReport {
  readonly v: 1;
  readonly seed: number;
  readonly ok: boolean;
  readonly seconds: number;
  readonly batches: number;
  readonly items: number;
  readonly done: number;
  readonly checkpointEvery: number;
  readonly faults: readonly KindRow[];
  /** Calls of the store, and the spoiled ones by kind. */
  readonly calls: { readonly all: number; readonly spoiled: Readonly<Record<string, number>> };
  readonly steps: {
    readonly made: number;
    readonly distinct: number;
    readonly repeated: number;
    /** By an attempt that had been given up, beside the one in its place. */
    readonly alongside: number;
    /** Of one search after one interruption. */
    readonly mostRepeated: number;
    readonly attempts: number;
  };
  /** Workers that ended although nobody had killed them. */
  readonly ownEnds: readonly OwnEnd[];
  readonly warnings: Readonly<Record<string, number>>;
  readonly proofs: Found & { readonly tooOften: readonly string[] };
}

export function kindRows(costs: readonly Cost<FaultKind>[]): KindRow[] {
  return FAULT_KINDS.flatMap((kind) => {
    const of = costs.filter(({ blow }) => blow.kind === kind);
    if (of.length === 0) return [];
    const seconds = of.flatMap((cost) => cost.seconds).sort((a, b) => a - b);
    const sum = (value: (cost: Cost<FaultKind>) => number): number =>
      of.reduce((total, cost) => total + value(cost), 0);
    return {
      ...{ kind, count: of.length, searches: sum(({ hit }) => hit), repeated: sum(({ repeated }) => repeated) },
      seconds: { median: seconds[seconds.length >> 1] ?? 0, longest: seconds.at(-1) ?? 0 },
    };
  });
}

/** Searches that lost more than one interval by one interruption. */
export function repeatedTooOften({ repeats }: Ledger, checkpointEvery: number): string[] {
  return repeats
    .filter(({ from, reached }) => reached - from > checkpointEvery)
    .map(({ item, life, from, reached }) => `${item}: from ${reached} back to ${from} after worker ${life}`);
}

/** `PUT 500` and so on, counted by kind. */
export function spoiledCalls(seen: readonly string[]): ChaosReport['calls'] {
  const kinds = seen.map((each) => each.slice(each.indexOf(' ') + 1));
  const counts = CALL_FAULTS.map(
    (kind) => [String(kind), kinds.filter((each) => each === String(kind)).length] as const,
  );
  return { all: seen.length, spoiled: Object.fromEntries(counts) };
}

/** For people, and for the documentation: tables in Markdown. */
export function reportText(report: ChaosReport): string {
  const { seed, seconds, items, batches, done, checkpointEvery, steps, calls, ownEnds, proofs, warnings } = report;
  const spoiled = Object.entries(calls.spoiled).map(([kind, count]) => `${kind}: ${count}`);
  const lists = Object.entries(proofs).flatMap(([what, found]) =>
    (found as readonly string[]).slice(0, 10).map((each) => `${what}: ${each}`),
  );
  return [
    `| fault | times | searches hit | steps made again | seconds until a search that was hit went on: median, longest |`,
    '| --- | --- | --- | --- | --- |',
    ...report.faults.map(
      ({ kind, count, searches, repeated, seconds: { median, longest } }) =>
        `| ${kind} | ${count} | ${searches} | ${repeated} | ${median.toFixed(1)}, ${longest.toFixed(1)} |`,
    ),
    '',
    `seed ${seed}: ${items} items in ${batches} batches, ${seconds.toFixed(0)} s, a checkpoint every ${checkpointEvery} steps`,
    `${done} done, ${proofs.lost.length} lost, ${proofs.duplicated.length} duplicated, ${proofs.torn.length} torn, ${proofs.unequal.length} unequal to the undisturbed run`,
    `steps: ${steps.made} made, ${steps.distinct} needed, ${steps.repeated} repeated in ${steps.attempts} attempts, at most ${steps.mostRepeated} by one search after one interruption; ${steps.alongside} by attempts that had been given up`,
    `calls of the store: ${calls.all}, spoiled ${spoiled.join(', ')}`,
    `workers that ended by themselves: ${ownEnds.length}${ownEnds.map(({ life, exit, said }) => `; ${life} with ${String(exit.code ?? exit.signal)}: ${said}`).join('')}`,
    `warnings beside calls of Temporal's server: ${Object.entries(warnings)
      .map(([code, count]) => `${code} ${count}`)
      .join(', ')}`,
    ...lists,
    '',
  ].join('\n');
}
