/**
 * @file A page of a batch: keeps some of its items open until all are over. An item that fails never fails its page.
 */
import {
  allHandlersFinished,
  CancellationScope,
  ChildWorkflowFailure,
  condition,
  isCancellation,
  setHandler,
  sleep,
  startChild,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { ChildWorkflowHandle } from '@temporalio/workflow';

import { ControlState } from './control.ts';
import { inversionId } from './ids.ts';
import type { inversion } from './inversion.ts';
import type { BatchResult, InversionInput, PageInput } from './messages.ts';
import { controlSignal, pageStatusQuery } from './messages.ts';
import { ioActivities } from './options.ts';
import type { EndState } from './plan.ts';
import { countsOf } from './plan.ts';

/** Items that are opened at once, and the pause after them: 250 starts in one burst are 500 actions of the server. */
const RAMP = 50;
const RAMP_MS = 1000;
/** Until an item that another workflow has open is looked at again. */
const ELSEWHERE_MS = 10_000;

export async function page(input: PageInput): Promise<BatchResult> {
  const { run, itemsPerPage } = input;
  const control = new ControlState(input.control);
  const ended: EndState[] = [];
  const open = new Map<string, Promise<void>>();
  const handles = new Map<string, ChildWorkflowHandle<typeof inversion>>();
  let { size } = input;
  setHandler(pageStatusQuery, () => ({ v: 1, page: input.page, counts: countsOf(size, ended, open.size) }));
  setHandler(controlSignal, async (signal) => {
    const before = control.last;
    if (!control.take(signal)) return;
    if (signal.paused === before.paused && signal.now === before.now) return;
    await Promise.all([...handles.values()].map((handle) => tell(handle, control)));
  });

  const { items } = await ioActivities(input.tuning).loadPage({ v: 1, run, page: input.page, itemsPerPage });
  size = items.length;
  const mayOpen = (): boolean => !control.paused && open.size < control.window;
  try {
    for (const [at, item] of items.entries()) {
      await condition(mayOpen);
      const index = input.page * itemsPerPage + at;
      const work = follow({ input, item, index, control, handles }).then((state) => {
        ended.push(state);
        open.delete(item);
      });
      open.set(item, work);
      if ((at + 1) % RAMP === 0 && at + 1 < items.length && at < control.window) await sleep(RAMP_MS);
    }
    await condition(() => open.size === 0);
  } finally {
    // A cancelled page waits too: each of its items saves its search first.
    await CancellationScope.nonCancellable(async () => {
      await Promise.all(open.values());
      await condition(allHandlersFinished);
    });
  }
  return { v: 1, counts: countsOf(size, ended, 0) };
}

interface Following {
  readonly input: PageInput;
  readonly item: string;
  readonly index: number;
  readonly control: ControlState;
  readonly handles: Map<string, ChildWorkflowHandle<typeof inversion>>;
}

/** Opens an item and waits for its end. Never throws: what goes wrong with an item is its state. */
async function follow(of: Following): Promise<EndState> {
  const { input, item, index, handles } = of;
  const { run, round, retryFailed } = input;
  try {
    for (;;) {
      const handle = await opened(of);
      if (handle) return (await handle.result()).state;
      // Another batch of the run has it open. When that is over the store tells, or it can be opened here.
      await sleep(ELSEWHERE_MS);
      const { state } = await ioActivities(input.tuning).claimItem({ v: 1, run, item, index, retryFailed });
      if (state !== 'open') return state;
    }
  } catch (error) {
    return isCancellation(error) || (error instanceof ChildWorkflowFailure && isCancellation(error.cause))
      ? 'cancelled'
      : 'failed';
  } finally {
    handles.delete(inversionId(run, item, round));
  }
}

async function opened({
  input,
  item,
  index,
  control,
  handles,
}: Following): Promise<ChildWorkflowHandle<typeof inversion> | undefined> {
  const { run, round, deviceQueue, chunkSeconds, checkpointEvery, previews, priority, retryFailed, tuning } = input;
  const told = control.last;
  const argument: InversionInput = {
    ...{ v: 1, run, item, index, deviceQueue, chunkSeconds, checkpointEvery, previews, priority, retryFailed },
    control: told,
    ...(tuning && { tuning }),
  };
  const workflowId = inversionId(run, item, round);
  try {
    const handle = await startChild<typeof inversion>('inversion', { workflowId, args: [argument] });
    handles.set(workflowId, handle);
    if (control.seq > told.seq) await tell(handle, control);
    return handle;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return undefined;
    throw error;
  }
}

/** An item that has just ended cannot be told anything, and need not be. */
async function tell(handle: ChildWorkflowHandle<typeof inversion>, { last }: ControlState): Promise<void> {
  try {
    await handle.signal(controlSignal, last);
  } catch {
    return;
  }
}
