/**
 * @file A workflow that takes the place of `batch` for its messages alone: it answers, is paused and cancelled, and ends
 * when it is told to. No item is ever searched.
 */
import { condition, defineSignal, setHandler } from '@temporalio/workflow';

import { acceptedUpdate, controlUpdate, NO_ITEMS, statusQuery } from '../../../../workflows/messages.ts';
import type { BatchInput, BatchResult, BatchStatus } from '../../../../workflows/messages.ts';

/** What became of the items. */
export const finish = defineSignal<[{ readonly done: number; readonly failed: number }]>('finish');

export async function batch({ run, items, window, round }: BatchInput): Promise<BatchResult> {
  let isPaused = false;
  let ended: { readonly done: number; readonly failed: number } | undefined;
  const status = (): BatchStatus => ({
    v: 1,
    run,
    state: isPaused ? 'paused' : 'running',
    items,
    counts: { ...NO_ITEMS, queued: items - 1 },
    openPages: [],
    window,
    round,
  });
  setHandler(statusQuery, status);
  setHandler(acceptedUpdate, () => Promise.resolve(status()));
  setHandler(controlUpdate, ({ paused }) => {
    isPaused = paused ?? isPaused;
    return Promise.resolve(status());
  });
  setHandler(finish, (counts) => {
    ended = counts;
  });
  await condition(() => ended !== undefined);
  return { v: 1, counts: { ...NO_ITEMS, ...ended } };
}
