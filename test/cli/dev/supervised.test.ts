import { join } from 'node:path';

import { expect, onTestFinished, test } from 'vitest';

import type { ProcessSpec } from '../../../cli/dev/child.ts';
import { Keeper } from '../../../cli/dev/keeper.ts';
import { Supervised, waitAfter } from '../../../cli/dev/supervised.ts';
import { temporaryFolder } from '../../support/folder.ts';

async function shell(script: string, isReady: () => Promise<boolean>): Promise<ProcessSpec> {
  const log = join(await temporaryFolder(), 'log');
  return { role: 'worker', name: 'worker 1', command: '/bin/sh', argv: ['-c', script], env: {}, log, isReady };
}

function supervise(spec: ProcessSpec, onEnd: (line: string) => void): Supervised {
  const keeper = new Keeper();
  const supervised = new Supervised(spec, () => Promise.resolve(spec), keeper, { onStart: () => undefined, onEnd });
  onTestFinished(async () => {
    await supervised.stop(1000);
    keeper[Symbol.dispose]();
  });
  return supervised;
}

test('a process that ends by itself before it answers is an error in one line, with what it said', async () => {
  const spec = await shell('echo "error: pack \\"x\\" not found"; echo "hint: none"; exit 2', () =>
    Promise.resolve(false),
  );
  const error = await supervise(spec, () => undefined)
    .start()
    .catch((each: unknown) => each);
  expect(error).toMatchObject({ code: 'ProcessEnded', exit: 2 });
  expect(String(error)).toMatch(/worker 1 \(pid \d+\) has ended with code 2 \(error: pack "x" not found\)$/);
});

test('one that keeps ending soon after its start is started again, each time later, until it is told to stop', async () => {
  const lines: string[] = [];
  const spec = await shell('sleep 0.2; echo no luck; exit 3', () => Promise.resolve(true));
  let isEnough = (): void => undefined;
  const enough = new Promise<void>((resolve) => (isEnough = resolve));
  const supervised = supervise(spec, (line) => {
    lines.push(line.replace(/pid \d+/, 'pid'));
    if (lines.length === 3) isEnough();
  });
  await supervised.start();
  await enough;
  await supervised.stop(1000);
  const said = 'worker 1 (pid) has ended with code 3 (no luck): starting it again in';
  expect(lines).toEqual([`${said} 0.25 s`, `${said} 0.5 s`, `${said} 1 s`]);
  expect([0, 1, 2, 20].map(waitAfter)).toEqual([0, 250, 500, 10_000]);
});
