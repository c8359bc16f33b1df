/**
 * @file What workers' logs say of steps: which were made again, by which attempt, and when an item went on. Plain functions
 * over entries in the order of time.
 */

/** A line of a worker's log. */
export interface Entry {
  /** Milliseconds since 1970. */
  readonly time: number;
  /** Process: the worker and how often it had been started. */
  readonly life: string;
  readonly item: string;
  /** `start`: an attempt that goes on from `step`; `step`: that many are done. */
  readonly type: 'start' | 'step' | 'checkpoint' | 'done';
  readonly step: number;
}

/** An attempt that began below what had been reached. */
export interface Repeat {
  readonly time: number;
  readonly item: string;
  /** Of the attempt that had come as far. */
  readonly life: string;
  readonly from: number;
  readonly reached: number;
}

export interface Ledger {
  readonly attempts: number;
  /** Steps made, and different ones. */
  readonly made: number;
  readonly distinct: number;
  readonly repeats: readonly Repeat[];
  /** Made again although nothing had been lost: two attempts at an item ran side by side, one of them given up. */
  readonly alongside: number;
}

export function ledgerOf(entries: readonly Entry[]): Ledger {
  const items = new Map<string, { reached: number; life: string; steps: Set<number> }>();
  /** What had been reached when a process began its present attempt at an item: up to there it repeats, behind it is new. */
  const begun = new Map<string, number>();
  const repeats: Repeat[] = [];
  let [attempts, made, alongside] = [0, 0, 0];
  for (const { time, life, item, type, step } of entries) {
    const of = items.get(item) ?? { reached: 0, life, steps: new Set() };
    items.set(item, of);
    if (type === 'start') {
      attempts += 1;
      begun.set(`${life} ${item}`, of.reached);
      if (step < of.reached) repeats.push({ time, item, life: of.life, from: step, reached: of.reached });
    }
    if (type !== 'step') continue;
    made += 1;
    of.steps.add(step);
    if (step > of.reached) Object.assign(of, { reached: step, life });
    else if (step > (begun.get(`${life} ${item}`) ?? 0)) alongside += 1;
  }
  const distinct = [...items.values()].reduce((sum, { steps }) => sum + steps.size, 0);
  return { attempts, made, distinct, repeats, alongside };
}

/** What has happened to a process. */
export interface Blow<K extends string = string> {
  readonly kind: K;
  readonly time: number;
  /** Of a worker; absent for a server, which every worker needs. */
  readonly life?: string;
}

export interface Cost<K extends string = string> {
  readonly blow: Blow<K>;
  /** Items that were being searched by whoever was hit. */
  readonly hit: number;
  readonly repeated: number;
  /** Until an item that was hit made a step that it had not made before; one number for each. */
  readonly seconds: readonly number[];
}

/** Repeated steps go to the latest blow that can have caused them. */
export function costsOf<K extends string>(entries: readonly Entry[], blows: readonly Blow<K>[]): Cost<K>[] {
  const repeated = new Map<Blow<K>, number>();
  for (const { time, life, from, reached } of ledgerOf(entries).repeats) {
    const cause = blows.findLast((blow) => blow.time <= time && (blow.life === undefined || blow.life === life));
    if (cause) repeated.set(cause, (repeated.get(cause) ?? 0) + reached - from);
  }
  return blows.map((blow) => {
    const hit = openAt(entries, blow);
    const seconds = [...hit].flatMap(([item, reached]) => {
      const next = entries.find(
        (each) =>
          each.item === item &&
          each.time > blow.time &&
          (each.type === 'done' || (each.type === 'step' && each.step > reached)),
      );
      return next ? [(next.time - blow.time) / 1000] : [];
    });
    return { blow, hit: hit.size, repeated: repeated.get(blow) ?? 0, seconds };
  });
}

/** Items that a process (or any) was searching, with the steps that they had come to. */
function openAt(entries: readonly Entry[], { time, life }: Blow): Map<string, number> {
  const open = new Map<string, { life: string; reached: number }>();
  for (const entry of entries) {
    if (entry.time > time) break;
    const { item, type, step } = entry;
    const before = open.get(item)?.reached ?? 0;
    if (type === 'start') open.set(item, { life: entry.life, reached: Math.max(before, step) });
    else if (type === 'step') open.set(item, { life: entry.life, reached: Math.max(before, step) });
    else if (type === 'done') open.delete(item);
  }
  const hit = [...open].filter(([, of]) => life === undefined || of.life === life);
  return new Map(hit.map(([item, { reached }]) => [item, reached]));
}
