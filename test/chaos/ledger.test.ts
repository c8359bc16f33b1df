import { expect, test } from 'vitest';

import { costsOf, ledgerOf } from '../support/chaos/ledger.ts';
import type { Entry } from '../support/chaos/ledger.ts';
import { repeatedTooOften } from '../support/chaos/report.ts';
import { callFaults, FAULT_KINDS, planFaults } from '../support/chaos/schedule.ts';

/** Steps `from + 1` to `to` of an attempt, one a second. */
function attempt(life: string, item: string, [from, to]: readonly [number, number], begun: number): Entry[] {
  const start = { time: begun * 1000, life, item, type: 'start', step: from } as const;
  const steps = Array.from({ length: to - from }, (_, i) => {
    return { time: (begun + i + 1) * 1000, life, item, type: 'step', step: from + i + 1 } as const;
  });
  return [start, ...steps];
}

const inOrder = (...parts: Entry[][]): Entry[] => parts.flat().sort((a, b) => a.time - b.time);

test('an attempt that goes on where the one before was saved repeats what was not saved', () => {
  const entries = inOrder(attempt('1.1', 'a', [0, 7], 0), attempt('2.1', 'a', [4, 12], 20));
  const { made, distinct, attempts, repeats, alongside } = ledgerOf(entries);
  expect({ made, distinct, attempts, alongside }).toEqual({ made: 15, distinct: 12, attempts: 2, alongside: 0 });
  expect(repeats).toEqual([{ time: 20_000, item: 'a', life: '1.1', from: 4, reached: 7 }]);
  expect(repeatedTooOften(ledgerOf(entries), 4)).toEqual([]);
  expect(repeatedTooOften(ledgerOf(entries), 2)).toHaveLength(1);
});

test('steps of two attempts side by side are told apart from repeated ones', () => {
  // The second begins at the checkpoint of the first, which goes on for a while.
  const entries = inOrder(attempt('1.1', 'a', [0, 10], 0), attempt('2.1', 'a', [4, 12], 6.5));
  const { made, distinct, alongside, repeats } = ledgerOf(entries);
  expect(repeats.map(({ from, reached }) => reached - from)).toEqual([2]);
  expect({ made, distinct, alongside }).toEqual({ made: 18, distinct: 12, alongside: 4 });
});

test('repeated steps are charged to the latest fault that can have caused them, waiting to all that were hit', () => {
  const entries = inOrder(
    attempt('1.1', 'a', [0, 7], 0),
    attempt('2.1', 'b', [0, 30], 0),
    attempt('2.1', 'a', [4, 9], 20),
  );
  const kill = { kind: 'kill', time: 7500, life: '1.1' };
  const ofOther = { kind: 'kill', time: 8000, life: '3.1' };
  const server = { kind: 'server', time: 5500 };
  const [first, second, third] = costsOf(entries, [server, kill, ofOther]);
  expect(first).toMatchObject({ hit: 2, repeated: 0, seconds: [0.5, 0.5] });
  expect(second).toMatchObject({ hit: 1, repeated: 3, seconds: [16.5] });
  expect(third).toMatchObject({ hit: 0, repeated: 0, seconds: [] });
});

test('a seed names a schedule; a short one has every kind', () => {
  expect(planFaults(3, 50, 5000)).toEqual(planFaults(3, 50, 5000));
  expect(planFaults(3, 50, 5000)).not.toEqual(planFaults(4, 50, 5000));
  for (let seed = 0; seed < 50; seed++) {
    const faults = planFaults(seed, 10, 5000);
    expect(new Set(faults.map(({ kind }) => kind))).toEqual(new Set(FAULT_KINDS));
    for (const { kind, forMs } of faults) if (kind === 'worker stopped') expect(forMs).toBeGreaterThan(5000);
  }
});

test('calls are spoiled as often as asked', () => {
  const next = callFaults(1, 0.05);
  const spoiled = Array.from({ length: 20_000 }, next).filter((fault) => fault !== 'pass');
  expect(spoiled.length / 20_000).toBeCloseTo(0.05, 2);
});
