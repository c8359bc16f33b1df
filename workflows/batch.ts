/**
 * @file A run: keeps some of its pages open until all are over, counts, and sums up. Holds numbers only, whatever the size
 * of the run.
 */
import {
  ActivityFailure,
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  setHandler,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import type { ChildWorkflowHandle } from '@temporalio/workflow';

import { ControlState } from './control.ts';
import { codeOf } from './failure-code.ts';
import { pageId } from './ids.ts';
import type { BatchInput, BatchResult, BatchStatus, ControlRequest, ItemCounts, RunState } from './messages.ts';
import { acceptedUpdate, controlSignal, controlUpdate, NO_ITEMS, statusQuery } from './messages.ts';
import { finaliseActivities } from './options.ts';
import type { page } from './page.ts';
import { addCounts, LARGEST_WINDOW, pageCount, pageSize, queuedFrom, settled, windowsFor } from './plan.ts';

export async function batch(input: BatchInput): Promise<BatchResult> {
  return new Batch(input).run();
}

type PageHandle = ChildWorkflowHandle<typeof page>;

class Batch {
  readonly #input: BatchInput;
  readonly #pages: number;
  readonly #control: ControlState;
  /** Pages that are open, by their workflow ids. */
  readonly #open = new Map<string, Promise<void>>();
  readonly #handles = new Map<string, PageHandle>();
  /** Asked of the batch; pages get a window of their own. */
  #window: number;
  /** The next page to open. */
  #next: number;
  /** Of closed pages. */
  #counts: ItemCounts;
  /** Of the first page that broke. */
  #failure: string | undefined;
  #state: 'open' | Exclude<RunState, 'running' | 'paused'> = 'open';

  constructor(input: BatchInput) {
    const { cursor, items, itemsPerPage } = input;
    this.#input = input;
    this.#pages = pageCount(items, itemsPerPage);
    this.#window = cursor?.window ?? input.window;
    this.#next = cursor?.page ?? 0;
    this.#counts = cursor?.counts ?? NO_ITEMS;
    this.#failure = cursor?.failure;
    const { perPage } = windowsFor(this.#window, itemsPerPage);
    this.#control = new ControlState({
      seq: cursor?.seq ?? 0,
      paused: cursor?.paused ?? false,
      now: false,
      window: perPage,
    });
  }

  async run(): Promise<BatchResult> {
    setHandler(statusQuery, () => this.#status());
    setHandler(acceptedUpdate, () => this.#status());
    setHandler(controlUpdate, (request) => this.#take(request), { validator: checkRequest });
    try {
      await this.#openPages();
    } catch (error) {
      if (!isCancellation(error)) throw error;
      await CancellationScope.nonCancellable(() => this.#finish('cancelled'));
      throw error;
    }
    if (this.#next < this.#pages) return continueAsNew<typeof batch>(this.#continued());
    await CancellationScope.nonCancellable(() => this.#finish(this.#failure === undefined ? 'completed' : 'failed'));
    if (this.#failure !== undefined) {
      throw ApplicationFailure.nonRetryable('a page of the run could not be worked on', this.#failure);
    }
    return { v: 1, counts: this.#counts };
  }

  /** Until all pages are over, or until the history is long enough. */
  async #openPages(): Promise<void> {
    try {
      while (this.#next < this.#pages && !this.#isLong()) {
        const { pages } = windowsFor(this.#window, this.#input.itemsPerPage);
        if (!this.#control.paused && this.#open.size < pages) this.#openPage(this.#next++);
        else await condition(() => this.#mayOpen() || this.#isLong());
      }
      await condition(() => this.#open.size === 0);
    } finally {
      await CancellationScope.nonCancellable(async () => {
        await Promise.all(this.#open.values());
        await condition(allHandlersFinished);
      });
    }
  }

  #mayOpen(): boolean {
    return !this.#control.paused && this.#open.size < windowsFor(this.#window, this.#input.itemsPerPage).pages;
  }

  #isLong(): boolean {
    const { continueAsNewSuggested, historyLength } = workflowInfo();
    const { continueAfterEvents } = this.#input;
    return continueAsNewSuggested || (continueAfterEvents !== undefined && historyLength >= continueAfterEvents);
  }

  #openPage(at: number): void {
    const { run, round } = this.#input;
    const workflowId = pageId(run, at, round);
    const work = this.#follow(at, workflowId).then((counts) => {
      this.#counts = addCounts(this.#counts, counts);
      this.#open.delete(workflowId);
      this.#handles.delete(workflowId);
    });
    this.#open.set(workflowId, work);
  }

  /** Never throws: a page that breaks is counted, and the others go on. */
  async #follow(at: number, workflowId: string): Promise<ItemCounts> {
    const { items, itemsPerPage, cursor: _, continueAfterEvents: __, ...shared } = this.#input;
    const size = pageSize(items, itemsPerPage, at);
    const told = this.#control.last;
    try {
      const handle = await startChild<typeof page>('page', {
        workflowId,
        args: [{ ...shared, itemsPerPage, page: at, size, control: told }],
      });
      this.#handles.set(workflowId, handle);
      if (this.#control.seq > told.seq) await this.#tell(handle);
      return (await handle.result()).counts;
    } catch (error) {
      if (isCancellation(error)) return { ...NO_ITEMS, cancelled: size };
      this.#failure ??= codeOf(error);
      return { ...NO_ITEMS, failed: size };
    }
  }

  async #take({ paused, now, window }: ControlRequest): Promise<BatchStatus> {
    if (window !== undefined) this.#window = window;
    const { last } = this.#control;
    const isPaused = paused ?? last.paused;
    this.#control.take({
      seq: last.seq + 1,
      paused: isPaused,
      now: isPaused && (now ?? (paused === undefined && last.now)),
      window: windowsFor(this.#window, this.#input.itemsPerPage).perPage,
    });
    await Promise.all([...this.#handles.values()].map((handle) => this.#tell(handle)));
    return this.#status();
  }

  /** A page that has just ended cannot be told anything, and need not be. */
  async #tell(handle: PageHandle): Promise<void> {
    try {
      await handle.signal(controlSignal, this.#control.last);
    } catch {
      return;
    }
  }

  /**
   * Sums up in the store. A run whose sum cannot be written has failed, whatever became of its items; one that was
   * cancelled stays so, and its next round writes it.
   */
  async #finish(state: 'completed' | 'cancelled' | 'failed'): Promise<void> {
    const { run, items, itemsPerPage, tuning } = this.#input;
    const rest = queuedFrom(items, itemsPerPage, this.#next);
    this.#counts = settled(addCounts(this.#counts, rest));
    this.#next = this.#pages;
    const isCancelled = state === 'cancelled';
    try {
      await finaliseActivities(tuning, { isShort: isCancelled }).finaliseRun({ v: 1, run, items });
      this.#state = state;
    } catch (error) {
      if (!(error instanceof ActivityFailure)) throw error;
      this.#state = isCancelled ? 'cancelled' : 'failed';
      if (isCancelled) return;
      throw ApplicationFailure.nonRetryable('the results could not be summed up in the store', codeOf(error));
    }
  }

  #continued(): BatchInput {
    const { seq, paused } = this.#control;
    const failure = this.#failure;
    const cursor = { page: this.#next, counts: this.#counts, paused, seq, window: this.#window };
    return { ...this.#input, cursor: { ...cursor, ...(failure !== undefined && { failure }) } };
  }

  #status(): BatchStatus {
    const { run, items, itemsPerPage, round } = this.#input;
    const counts = addCounts(this.#counts, queuedFrom(items, itemsPerPage, this.#next));
    const openPages = [...this.#open.keys()];
    const isOpen = this.#state === 'open';
    const state = !isOpen ? (this.#state as RunState) : this.#control.paused ? 'paused' : 'running';
    return { v: 1, run, state, items, counts, openPages, window: this.#window, round };
  }
}

/** @throws what the sender is told: a request that cannot be followed changes nothing */
function checkRequest({ window }: ControlRequest): void {
  if (window === undefined) return;
  if (!Number.isInteger(window) || window < 1 || window > LARGEST_WINDOW) {
    throw ApplicationFailure.nonRetryable(
      `window: expected a whole number from 1 to ${LARGEST_WINDOW}, found ${window}`,
      'InvalidOption',
    );
  }
}
