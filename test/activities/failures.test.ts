import { ApplicationFailure, CancelledFailure, defaultPayloadConverter } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { describe, expect, test } from 'vitest';

import type {
  ClaimItemResult,
  FinaliseRunInput,
  LoadPageResult,
  OptimiseChunkInput,
} from '../../activities/contracts.ts';
import { failuresInterceptor } from '../../activities/interceptors.ts';
import type { OnActivityError } from '../../activities/interceptors.ts';
import { ERROR_CODES, RefereeError } from '../../errors.ts';
import type { ErrorCode } from '../../errors.ts';
import { deviceQueue, ITEMS_PER_PAGE, pageId } from '../../workflows/ids.ts';
import type { BatchInput, BatchStatus, InversionInput, PageInput } from '../../workflows/messages.ts';
import { NO_ITEMS } from '../../workflows/messages.ts';
import { LARGEST_WINDOW, windowsFor } from '../../workflows/plan.ts';

const PLACE = { run: 'r0123456789ab', item: 'i0123456789abcdef0123' };
const INPUT = { v: 1, ...PLACE };

/** What Temporal is told of an error that an activity throws. */
async function told(error: unknown, { input = INPUT, onError }: { input?: object; onError?: OnActivityError } = {}) {
  const environment = new MockActivityEnvironment(
    { activityType: 'optimiseChunk', attempt: 2 },
    {
      logger: new DefaultLogger('ERROR'),
      interceptors: [(context) => ({ inbound: failuresInterceptor(context, onError) })],
    },
  );
  const work = (_: object): Promise<never> =>
    new Promise(() => {
      throw error;
    });
  return environment.run(work, input).catch((caught: unknown) => caught);
}

/** Whether an activity that meets the error is tried again; every code of the table has its row. */
const RETRIED: Readonly<Record<ErrorCode, boolean>> = {
  Internal: true, // a bug here may be none on another worker
  InvalidInput: false,
  InvalidOption: false,
  InvalidModel: false,
  InvalidWeights: false,
  InvalidPack: false,
  PackNotFound: false,
  InvalidCheckpoint: false,
  InvalidStore: true, // permissions and buckets can be put right while a batch waits
  StoreFull: true, // so can space
  StoreUnavailable: true,
  ProviderNotAvailable: false,
  ProgramNotFound: false,
  ProcessEnded: false,
  FolderInUse: false,
  NotReady: false,
  RunUnfinished: true,
  RunDamaged: false,
  UnsupportedOperator: false, // the same everywhere with this provider
  MissingGradientRule: false,
  OutOfTolerance: false,
  ItemsFailed: false,
  NonFinite: false, // a step is a pure function: it will diverge again
  ZeroGradient: false,
  NoProgress: false,
  WorkerLost: true,
  NotFound: false,
  NotPermitted: false,
  ServerUnavailable: true,
  NoWorker: true,
  OtherVersion: true,
  DeviceLost: true,
  OutOfMemory: true, // later, or on a larger machine
  Interrupted: true,
};

describe('errors as Temporal sees them', () => {
  test('the table has every code', () => {
    expect(Object.keys(RETRIED).sort()).toEqual(Object.keys(ERROR_CODES).sort());
  });

  test.each(Object.entries(RETRIED) as [ErrorCode, boolean][])('%s: tried again %s', async (code, isRetried) => {
    const failure = await told(new RefereeError(code, 'a red circle in /data'));
    expect(failure).toBeInstanceOf(ApplicationFailure);
    expect(failure).toMatchObject({ type: code, nonRetryable: !isRetried, details: [PLACE] });
  });

  test.each([
    ['a record of an item', { item: PLACE.item }],
    ['a file that is not what it should be', { file: 'run.json' }],
    ['bytes that are damaged', { damage: 'digest' }],
  ])('%s stays wrong: not tried again', async (_, details) => {
    expect(await told(new RefereeError('InvalidStore', 'wrong', { details }))).toMatchObject({ nonRetryable: true });
  });

  test.each([[new TypeError('x is undefined')], ['text'], [undefined]])('a bug (%s) is tried again', async (error) => {
    expect(await told(error)).toMatchObject({ type: 'Internal', nonRetryable: false });
  });

  test('failures of the SDK are left as they are', async () => {
    const failure = new CancelledFailure('CANCELLED');
    expect(await told(failure)).toBe(failure);
  });

  test('nothing that a user wrote goes into a history, whatever its size; the log hears everything', async () => {
    const secret = 'a red circle '.repeat(100_000);
    const heard: unknown[] = [];
    const error = new RefereeError('InvalidInput', secret, { hint: secret, details: { prompt: secret } });
    const failure = (await told(error, { onError: (...all) => heard.push(all) })) as ApplicationFailure;
    expect(JSON.stringify([failure.message, failure.details, failure.type])).not.toContain('circle');
    expect(failure.message).toBe(`InvalidInput at item ${PLACE.item}; the worker's log has the details`);
    expect(heard).toEqual([[error, { ...PLACE, activity: 'optimiseChunk', attempt: 2 }]]);
  });

  test.each([[{ ...INPUT, v: 2 }], [{ ...PLACE }], [{ ...INPUT, v: '1' }]])(
    'arguments of another version (%j) are left to another worker',
    async (input) => {
      const failure = await told(undefined, { input });
      expect(failure).toMatchObject({ type: 'OtherVersion', nonRetryable: false });
    },
  );
});

describe('payloads are ids and counters: 64 KB at most, for the largest run', () => {
  const LONGEST = 'x'.repeat(64);
  const round = { round: 999_999, retryFailed: true };
  const shared = {
    ...{ v: 1 as const, run: LONGEST, deviceQueue: deviceQueue('f'.repeat(64), 'x'.repeat(32)), chunkSeconds: 3600 },
    ...{ checkpointEvery: 10_000, previews: true, priority: 5, retryFailed: true },
    tuning: { heartbeatSeconds: 60, retrySeconds: 2, attempts: 8, ioAttempts: 20 },
  };
  const control = { seq: 10_000, paused: true, now: true, window: LARGEST_WINDOW };
  const counts = { ...NO_ITEMS, queued: 1e6, done: 1e6, failed: 1e6 };
  const pages = windowsFor(LARGEST_WINDOW, ITEMS_PER_PAGE).pages;
  const batch: BatchInput = {
    ...{ ...shared, ...round, items: 1e6, itemsPerPage: ITEMS_PER_PAGE, window: LARGEST_WINDOW },
    cursor: { page: 1999, counts, paused: true, seq: 10_000, window: LARGEST_WINDOW, failure: 'StoreUnavailable' },
  };
  const page: PageInput = {
    ...shared,
    ...round,
    itemsPerPage: ITEMS_PER_PAGE,
    page: 1999,
    size: ITEMS_PER_PAGE,
    control,
  };
  const inversion: InversionInput = { ...shared, item: LONGEST, index: 1e6, control };
  const status: BatchStatus = {
    ...{ v: 1, run: LONGEST, state: 'cancelled', items: 1e6, counts, window: LARGEST_WINDOW, round: 999_999 },
    openPages: Array.from({ length: pages }, (_, at) => pageId(LONGEST, 1980 + at, 999_999)),
  };
  const loaded: LoadPageResult = { items: Array.from({ length: ITEMS_PER_PAGE }, () => LONGEST) };
  const claimed: ClaimItemResult = { state: 'failed', step: 999_999, code: LONGEST };
  const chunk: OptimiseChunkInput = {
    ...INPUT,
    ...{ v: 1, index: 1e6, checkpointEvery: 1e4, seconds: 3600, previews: true },
  };
  const finalise: FinaliseRunInput = { v: 1, run: LONGEST, items: 1e6 };

  test.each(Object.entries({ batch, page, inversion, status, loaded, claimed, chunk, finalise }))('%s', (_, value) => {
    const payload = defaultPayloadConverter.toPayload<unknown>(value);
    expect(payload.data!.byteLength).toBeLessThanOrEqual(64 * 1024);
  });
});
