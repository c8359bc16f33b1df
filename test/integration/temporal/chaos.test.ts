import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { expect, test } from 'vitest';

import { runChaos } from '../../support/chaos/chaos.ts';
import { reportText } from '../../support/chaos/report.ts';
import { FAULT_KINDS } from '../../support/chaos/schedule.ts';

/** Workers start so often here that they are started as they were built; `npm test` builds first. */
const MAIN = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));

test('ten faults of all kinds and a store that spoils calls: nothing lost, nothing twice, nothing torn, same bytes', async ({
  signal,
}) => {
  expect(existsSync(MAIN), 'dist/cli/main.js is missing: npm run build').toBe(true);
  const said: string[] = [];
  const report = await runChaos({
    ...{ seed: 7, faults: 10, items: 6, workers: 3, lanes: 2, steps: 48, checkpointEvery: 4 },
    heartbeatSeconds: 5,
    spoiledShare: 0.05,
    referee: [process.execPath, MAIN],
    say: (line) => void said.push(line),
    signal,
  });
  const context = `${said.join('\n')}\n${reportText(report)}`;
  expect(report.proofs, context).toEqual({ lost: [], duplicated: [], torn: [], unequal: [], tooOften: [] });
  expect(report, context).toMatchObject({ ok: true, done: report.items });
  expect(report.faults.map(({ kind }) => kind)).toEqual(FAULT_KINDS);
  expect(report.faults.reduce((sum, { count }) => sum + count, 0)).toBe(10);
  // It would prove nothing if nobody had been hit.
  expect(
    report.faults.reduce((sum, { searches }) => sum + searches, 0),
    context,
  ).toBeGreaterThan(0);
  expect(report.steps.attempts, context).toBeGreaterThan(report.items);
  expect(report.calls.all).toBeGreaterThan(100);
});
