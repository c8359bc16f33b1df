import { expect, test } from 'vitest';

import { prioritiesOf } from '../../remote/check-server.ts';

/** Answers of Temporal 1.29.1 about a queue with three tasks of the priorities 1, 2 and 3, and about an empty one. */
const rate = { tasksAddRate: 0.498 };
const waiting = (approximateBacklogCount: string) => ({ approximateBacklogCount, ...rate });

test.each([
  ['by default', { 1: rate, 2: rate, 3: waiting('3') }, 'warning', false],
  ['with matching.useNewMatcher', { 1: waiting('1'), 2: waiting('1'), 3: waiting('1') }, 'ok', true],
  ['with nothing that waits', { 3: {} }, 'ok', undefined],
  ['with tasks of the default priority only', { 3: waiting('7') }, 'ok', undefined],
  ['before there were priorities', {}, 'warning', false],
] as const)('whether priorities act, of a server %s', (_, stats, state, priorities) => {
  const finding = prioritiesOf(stats);
  expect(finding.state).toBe(state);
  expect(finding.facts?.['priorities']).toBe(priorities);
  expect(finding.fix === undefined).toBe(state === 'ok');
  expect(finding.found).toContain('fairness between runs is not told by the server');
});
