/**
 * @file What is done to whom, and when: drawn from a seed, so that a seed names a schedule.
 */
import type { Fault } from '../servers/open-proxy.ts';

export type FaultKind = 'worker killed' | 'worker stopped' | 'Temporal killed' | 'S3 killed';
export const FAULT_KINDS: readonly FaultKind[] = ['worker killed', 'worker stopped', 'Temporal killed', 'S3 killed'];

export interface PlannedFault {
  readonly kind: FaultKind;
  /** 0 .. 1: which of the workers that can be hit. */
  readonly target: number;
  /** After the last fault's first progress, milliseconds. */
  readonly afterMs: number;
  /** Until it is started again, or goes on, milliseconds. */
  readonly forMs: number;
}

/** Numbers in 0 .. 1: a sequence per seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const WEIGHTS: Readonly<Record<FaultKind, number>> = {
  'worker killed': 4,
  'worker stopped': 3,
  'Temporal killed': 1.5,
  'S3 killed': 1.5,
};
/** Between a fault's first progress and the next fault, at most. */
const LONGEST_PEACE_MS = 3000;
const LONGEST_ABSENCE_MS = 5000;
/** By which a stop is longer than the heartbeat, at least and at most. */
const [SHORTEST_EXCESS_MS, LONGEST_EXCESS_MS] = [1000, 4000];

/** Every kind once before any comes again: a short schedule has them all. */
export function planFaults(seed: number, faults: number, heartbeatMs: number): PlannedFault[] {
  const random = randomFrom(seed);
  const left = [...FAULT_KINDS];
  return Array.from({ length: faults }, () => {
    const kind = left.length > 0 ? left.splice(Math.floor(random() * left.length), 1)[0]! : weighted(random());
    const [target, afterMs, long] = [random(), random() * LONGEST_PEACE_MS, random()];
    const excess = SHORTEST_EXCESS_MS + long * (LONGEST_EXCESS_MS - SHORTEST_EXCESS_MS);
    return {
      kind,
      target,
      afterMs,
      forMs: kind === 'worker stopped' ? heartbeatMs + excess : long * LONGEST_ABSENCE_MS,
    };
  });
}

function weighted(at: number): FaultKind {
  let rest = at * FAULT_KINDS.reduce((sum, kind) => sum + WEIGHTS[kind], 0);
  return FAULT_KINDS.find((kind) => (rest -= WEIGHTS[kind]) < 0) ?? 'worker killed';
}

/** What the proxy does to calls. */
export const CALL_FAULTS: readonly Fault[] = [500, 503, 409, 'reset', 'lost-answer', 'cut', 'delay'];

/** A share of all calls, each kind as often as every other. */
export function callFaults(seed: number, share: number): () => Fault {
  const random = randomFrom(seed ^ 0x5bd1e995);
  return () => (random() < share ? CALL_FAULTS[Math.floor(random() * CALL_FAULTS.length)]! : 'pass');
}
