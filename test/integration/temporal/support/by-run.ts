/**
 * @file The same prompts by `referee run`, in a store of its own: what a batch is held against.
 */
import { expect } from 'vitest';

import { temporaryFolder } from '../../../support/folder.ts';
import { ONE_DEVICE, referee } from '../../support/command.ts';

/** The store. */
export async function byRun(prompts: readonly string[], steps: number, more: readonly string[] = []): Promise<string> {
  const store = await temporaryFolder();
  const argv = ['run', '-', '--store', store, '--steps', String(steps), '--quiet', ...more, ...ONE_DEVICE];
  const { code, stderr } = await referee(argv, { stdin: [prompts.map((prompt) => `${prompt}\n`).join('')] });
  expect([code, stderr]).toEqual([0, '']);
  return store;
}
