/**
 * @file What happens to a batch, one scenario for each path through the workflows that runs which are open may be on.
 */
import type { WorkflowHandle } from '@temporalio/client';
import { WorkflowFailedError } from '@temporalio/client';

import { controlUpdate } from '../../../../workflows/messages.ts';
import type { BatchInput } from '../../../../workflows/messages.ts';
import { failure, Gate, scriptedItem, smoothActivities, untilCancelled } from './scripted-workers.ts';
import type { Activities } from './scripted-workers.ts';

export interface Acting {
  /** Starts the batch, or its next round. */
  readonly begin: (settings?: Partial<BatchInput>) => Promise<WorkflowHandle>;
  readonly run: string;
}

export interface Scenario {
  readonly items: number;
  readonly settings: Partial<BatchInput>;
  readonly activities: Activities;
  /** Resolves when the batch is over. */
  readonly act: (acting: Acting) => Promise<void>;
}

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  happy: happy(),
  retried: retried(),
  drained: drained(),
  cancelled: cancelled(),
  paused: paused(),
  'paused-now': pausedNow(),
  continued: continued(),
};

/** Two pages; one item is there already, one takes two chunks. */
function happy(): Scenario {
  const items = 3;
  return {
    items,
    settings: { itemsPerPage: 2 },
    activities: {
      ...smoothActivities(items),
      claimItem: ({ index }) => Promise.resolve(index === 0 ? { state: 'done', step: 8 } : { state: 'open', step: 0 }),
      optimiseChunk: inTurn({ 1: [{ step: 4, ended: 'time' }] }),
    },
    act: async ({ begin }) => {
      await (await begin()).result();
    },
  };
}

/** An attempt fails and is made again; an item fails for good, is recorded, and is searched again in a further round. */
function retried(): Scenario {
  const items = 2;
  let attempts = 0;
  let isBroken = true;
  return {
    items,
    settings: {},
    activities: {
      ...smoothActivities(items),
      optimiseChunk: ({ index }) => {
        if (index === 0 && ++attempts === 1) throw failure('StoreUnavailable', { isRetried: true });
        if (index === 1 && isBroken) throw failure('InvalidCheckpoint', { isRetried: false });
        return Promise.resolve({ step: 8, ended: 'done' });
      },
      claimItem: ({ index, retryFailed }) => {
        if (retryFailed) return Promise.resolve(index === 0 ? { state: 'done', step: 8 } : { state: 'open', step: 4 });
        return Promise.resolve({ state: 'open', step: 0 });
      },
    },
    act: async ({ begin }) => {
      await (await begin()).result();
      isBroken = false;
      await (await begin({ round: 1, retryFailed: true })).result();
    },
  };
}

function drained(): Scenario {
  const items = 1;
  return {
    items,
    settings: {},
    activities: { ...smoothActivities(items), optimiseChunk: inTurn({ 0: [{ step: 3, ended: 'drain' }] }) },
    act: async ({ begin }) => {
      await (await begin()).result();
    },
  };
}

/** While one item is being searched, one waits in its page and one page is not open yet. */
function cancelled(): Scenario {
  const items = 3;
  const begun = new Gate();
  return {
    items,
    settings: { itemsPerPage: 2, window: 1 },
    activities: {
      ...smoothActivities(items),
      optimiseChunk: () => {
        begun.open();
        return untilCancelled();
      },
    },
    act: async ({ begin }) => {
      const handle = await begin();
      await begun.passed;
      await handle.cancel();
      await handle.result().catch((error: unknown) => {
        if (!(error instanceof WorkflowFailedError)) throw error;
      });
    },
  };
}

/** The running chunk goes to its end; the next one waits until the run goes on. */
function paused(): Scenario {
  const items = 1;
  const [begun, told] = [new Gate(), new Gate()];
  let chunks = 0;
  return {
    items,
    settings: {},
    activities: {
      ...smoothActivities(items),
      optimiseChunk: async () => {
        if (++chunks > 1) return { step: 8, ended: 'done' };
        begun.open();
        await told.passed;
        return { step: 4, ended: 'time' };
      },
    },
    act: async ({ begin }) => {
      const handle = await begin();
      await begun.passed;
      await handle.executeUpdate(controlUpdate, { args: [{ paused: true }] });
      told.open();
      await handle.executeUpdate(controlUpdate, { args: [{ window: 8 }] });
      await handle.executeUpdate(controlUpdate, { args: [{ paused: false }] });
      await handle.result();
    },
  };
}

/** The running chunk is stopped at once, and another one goes on. */
function pausedNow(): Scenario {
  const items = 1;
  const [begun, stopped] = [new Gate(), new Gate()];
  let chunks = 0;
  return {
    items,
    settings: {},
    activities: {
      ...smoothActivities(items),
      optimiseChunk: async () => {
        if (++chunks > 1) return { step: 8, ended: 'done' };
        begun.open();
        return await untilCancelled().finally(() => stopped.open());
      },
    },
    act: async ({ begin }) => {
      const handle = await begin();
      await begun.passed;
      await handle.executeUpdate(controlUpdate, { args: [{ paused: true, now: true }] });
      await stopped.passed;
      await handle.executeUpdate(controlUpdate, { args: [{ paused: false }] });
      await handle.result();
    },
  };
}

/** Four pages of which each makes the history long enough to begin a new one. */
function continued(): Scenario {
  const items = 4;
  return {
    items,
    settings: { itemsPerPage: 1, window: 1, continueAfterEvents: 16 },
    activities: smoothActivities(items),
    act: async ({ begin }) => {
      await (await begin()).result();
    },
  };
}

type Answers = Awaited<ReturnType<Activities['optimiseChunk']>>[];

/** First the answers that are listed for the item's place, then `done`. */
function inTurn(answers: Readonly<Record<number, Answers>>): Activities['optimiseChunk'] {
  const left = new Map(Object.entries(answers).map(([index, list]) => [scriptedItem(Number(index)), [...list]]));
  return ({ item }) => Promise.resolve(left.get(item)?.shift() ?? { step: 8, ended: 'done' });
}
