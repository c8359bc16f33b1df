/**
 * @file Decisions of the workflows as plain functions: how many pages, how wide, in which order, what a page came to.
 */
import type { ItemCounts } from './messages.ts';
import { NO_ITEMS } from './messages.ts';

/** Items that one page may have open: more would make one page's history long while others wait. */
export const PAGE_WINDOW = 250;
/** Items that may be open over all pages, at most: every open one is a workflow that the server holds. */
export const LARGEST_WINDOW = 5000;
/** Chunks in a row that end without a single step, after which an item is given up. */
export const IDLE_CHUNKS = 20;

export function pageCount(items: number, itemsPerPage: number): number {
  return Math.ceil(items / itemsPerPage);
}

/** Items of page `page`, from 0. */
export function pageSize(items: number, itemsPerPage: number, page: number): number {
  return Math.max(0, Math.min(itemsPerPage, items - page * itemsPerPage));
}

/** How a window over all pages becomes pages: how many are open, and how wide each is. */
export interface Windows {
  readonly pages: number;
  readonly perPage: number;
}

export function windowsFor(window: number, itemsPerPage: number): Windows {
  const wanted = Math.max(1, Math.min(window, LARGEST_WINDOW));
  const perPage = Math.min(wanted, itemsPerPage, PAGE_WINDOW);
  return { pages: Math.ceil(wanted / perPage), perPage };
}

/**
 * Temporal's priority key of the next chunk: items that have begun go one before those that have not, so that few are
 * half done at any time.
 */
export function chunkPriority(priority: number, step: number): number {
  return step > 0 ? Math.max(1, priority - 1) : priority;
}

export function addCounts(a: ItemCounts, b: ItemCounts): ItemCounts {
  return {
    queued: a.queued + b.queued,
    running: a.running + b.running,
    done: a.done + b.done,
    failed: a.failed + b.failed,
    cancelled: a.cancelled + b.cancelled,
  };
}

/** What an item came to. */
export type EndState = 'done' | 'failed' | 'cancelled';

/** Counts of `items` items of which some ended and some are open. */
export function countsOf(items: number, ended: readonly EndState[], running: number): ItemCounts {
  const count = (state: EndState): number => ended.filter((each) => each === state).length;
  return {
    queued: items - ended.length - running,
    running,
    done: count('done'),
    failed: count('failed'),
    cancelled: count('cancelled'),
  };
}

/** What is left when a workflow ends: nothing is queued or running any more. */
export function settled(counts: ItemCounts): ItemCounts {
  return { ...counts, queued: 0, running: 0, cancelled: counts.cancelled + counts.queued + counts.running };
}

/** Of the pages from `page` on. */
export function queuedFrom(items: number, itemsPerPage: number, page: number): ItemCounts {
  return { ...NO_ITEMS, queued: Math.max(0, items - page * itemsPerPage) };
}

/** Chunks in a row without progress. */
export function idleAfter(idle: number, before: number, after: number): number {
  return after > before ? 0 : idle + 1;
}
