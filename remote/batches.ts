/**
 * @file A batch on the server: started, asked, told. Every call ends within a stated time, with or without a worker.
 */
import { batchId, deviceQueue, IO_QUEUE, ITEMS_PER_PAGE, runOfBatch, WORKFLOW_QUEUE } from '../workflows/ids.ts';
import { acceptedUpdate, controlUpdate, pageStatusQuery, statusQuery } from '../workflows/messages.ts';
import type { BatchInput, BatchResult, BatchStatus, ControlRequest, PageStatus } from '../workflows/messages.ts';
import { isRefereeError, RefereeError } from '../errors.ts';
import { isTimeout } from './connection.ts';
import type { Remote } from './connection.ts';

/** For a worker to answer a question or to take an order. */
const ANSWER_SECONDS = 8;

export type ExecutionState = 'running' | 'completed' | 'cancelled' | 'terminated' | 'failed';

/** What the server itself knows of a batch, without any worker. */
export interface Execution {
  readonly run: string;
  readonly state: ExecutionState;
  readonly startedAt: Date;
  readonly closedAt?: Date;
  /** Absent where the server has forgotten the beginning of its history. */
  readonly input?: BatchInput;
  /** Of a batch that has failed. */
  readonly failure?: { readonly code: string; readonly message: string };
}

/** Undefined for a run that the server does not know, or does not know any more. */
export async function describeBatch(remote: Remote, run: string): Promise<Execution | undefined> {
  const handle = remote.client.workflow.getHandle(batchId(run));
  const described = await unlessMissing(() => remote.call(() => handle.describe()));
  if (!described) return undefined;
  const input = await unlessMissing(() => readInput(remote, run, described.runId));
  const state = executionState(described.status.name);
  const failure = state === 'failed' ? await readFailure(remote, run) : undefined;
  return {
    run,
    state,
    startedAt: described.startTime,
    ...(described.closeTime && { closedAt: described.closeTime }),
    ...(input && { input }),
    ...(failure && { failure }),
  };
}

/** Why a batch has failed, in the words of its last failure: codes and ids, which is all that histories hold. */
async function readFailure(remote: Remote, run: string): Promise<Execution['failure']> {
  try {
    await batchResult(remote, run);
    return undefined;
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'WorkflowFailedError') throw error;
    const { cause } = error;
    const type: unknown = cause instanceof Error ? Reflect.get(cause, 'type') : undefined;
    const message = cause instanceof Error ? cause.message : error.message;
    return { code: typeof type === 'string' ? type : 'Internal', message };
  }
}

/** Running and closed batches that the server remembers, the newest first. */
export async function* listBatches(remote: Remote, limit = 1000): AsyncGenerator<Omit<Execution, 'input'>> {
  // The name of the workflow's type, whatever else the namespace has.
  const listed = remote.client.workflow.list({ query: 'WorkflowType = "batch"', pageSize: 100 });
  const iterator = listed[Symbol.asyncIterator]();
  const seen = new Set<string>();
  while (seen.size < limit) {
    const next = await remote.call(() => iterator.next());
    if (next.done === true) return;
    const { workflowId, status, startTime, closeTime } = next.value;
    const run = runOfBatch(workflowId);
    if (run === undefined || seen.has(run)) continue;
    seen.add(run);
    yield {
      run,
      state: executionState(status.name),
      startedAt: startTime,
      ...(closeTime && { closedAt: closeTime }),
    };
  }
}

export interface Started {
  /** Whether it was running already. */
  readonly isAttached: boolean;
  /** Whether a worker has taken it; otherwise it waits for one, safe on the server. */
  readonly isAccepted: boolean;
}

/** Starts a batch, or finds it running. Waits until a worker has accepted it, or some seconds. */
export async function startBatch(remote: Remote, input: BatchInput): Promise<Started> {
  const { WithStartWorkflowOperation } = await import('@temporalio/client');
  const before = await describeBatch(remote, input.run);
  const isAttached = before?.state === 'running';
  const options = {
    workflowId: batchId(input.run),
    taskQueue: WORKFLOW_QUEUE,
    args: [input],
    workflowIdConflictPolicy: 'USE_EXISTING',
    workflowIdReusePolicy: 'ALLOW_DUPLICATE',
    priority: { priorityKey: input.priority, fairnessKey: input.run },
  } as const;
  const startWorkflowOperation = new WithStartWorkflowOperation('batch', options);
  // Rejected too when the call is given up; the call's own error is the one that counts.
  startWorkflowOperation.workflowHandle().catch(() => undefined);
  try {
    await remote.call(
      () => remote.client.workflow.executeUpdateWithStart(acceptedUpdate, { startWorkflowOperation }),
      ANSWER_SECONDS,
    );
    return { isAttached, isAccepted: true };
  } catch (error) {
    if (!isTimeout(error)) throw error;
    // No answer: either no server, which this says, or no worker, and then the batch waits for one.
    const { client } = remote;
    if ((await describeBatch(remote, input.run))?.state !== 'running') {
      await remote.call(() => client.workflow.start('batch', options));
    }
    return { isAttached, isAccepted: false };
  }
}

/**
 * What the batch says of itself; undefined when no worker answers.
 * @throws RefereeError OtherVersion when the workers' workflows cannot go on with it
 */
export async function askBatch(remote: Remote, run: string): Promise<BatchStatus | undefined> {
  try {
    return await answered(remote, () => remote.client.workflow.getHandle(batchId(run)).query(statusQuery));
  } catch (error) {
    if (!isOtherCode(error)) throw error;
    const message = `run ${run}: was begun by another version of the workflows than that of its workers; it waits`;
    throw new RefereeError('OtherVersion', message, { cause: error, details: { run } });
  }
}

export async function askPage(remote: Remote, page: string): Promise<PageStatus | undefined> {
  try {
    return await answered(remote, () => remote.client.workflow.getHandle(page).query(pageStatusQuery));
  } catch (error) {
    if (isOtherCode(error)) return undefined; // its batch says so
    throw error;
  }
}

/** The result of a batch that has completed. */
export async function batchResult(remote: Remote, run: string): Promise<BatchResult> {
  const handle = remote.client.workflow.getHandle(batchId(run));
  return remote.call(() => handle.result() as Promise<BatchResult>);
}

/** @throws RefereeError NoWorker when nobody carries the order out in time; OtherVersion as `askBatch` */
export async function controlBatch(remote: Remote, run: string, request: ControlRequest): Promise<BatchStatus> {
  const handle = remote.client.workflow.getHandle(batchId(run));
  try {
    return await remote.call(() => handle.executeUpdate(controlUpdate, { args: [request] }), ANSWER_SECONDS);
  } catch (error) {
    if (!isTimeout(error)) throw error;
    await askBatch(remote, run); // may know a better reason
    const { pollers: workers } = await pollers(remote, WORKFLOW_QUEUE, 'workflow');
    throw workers === 0 ? noWorker(run) : cannotGoOn(run);
  }
}

/** Asks a batch to end: searches are brought to a checkpoint. With `now` the server ends it, and workers notice. */
export async function cancelBatch(remote: Remote, run: string, { now }: { readonly now: boolean }): Promise<void> {
  const handle = remote.client.workflow.getHandle(batchId(run));
  await remote.call(async () => {
    if (now) await handle.terminate('cancelled at once by its user');
    else await handle.cancel();
  });
}

/** Workers that have asked for work lately, by what they do. */
export interface Workers {
  readonly workflows: number;
  readonly io: number;
  readonly device: number;
  /** Searches that wait for a device, about. */
  readonly waiting: number;
  /** Queue of the searches. */
  readonly deviceQueue: string;
}

export async function countWorkers(remote: Remote, queue: string): Promise<Workers> {
  const [workflows, io, device] = await Promise.all([
    pollers(remote, WORKFLOW_QUEUE, 'workflow'),
    pollers(remote, IO_QUEUE, 'activity'),
    pollers(remote, queue, 'activity'),
  ]);
  return {
    workflows: workflows.pollers,
    io: io.pollers,
    device: device.pollers,
    waiting: device.backlog,
    deviceQueue: queue,
  };
}

export interface BatchSettings {
  readonly window?: number | undefined;
  readonly chunkSeconds?: number | undefined;
  readonly checkpointEvery?: number | undefined;
  readonly previews?: boolean | undefined;
  readonly priority?: number | undefined;
  readonly deviceClass?: string | undefined;
}

const DEFAULT_WINDOW = 500;
const DEFAULT_CHUNK_SECONDS = 300;
const DEFAULT_PRIORITY = 3;
const CHECKPOINT_EVERY = 16;
const PREVIEWS_UP_TO = 1000;

/** The argument of a batch, from what was asked and what is in the store. */
export function batchInput(
  of: { readonly run: string; readonly items: number; readonly packDigest: string },
  settings: BatchSettings,
  round: { readonly round: number; readonly retryFailed: boolean },
): BatchInput {
  return {
    v: 1,
    run: of.run,
    items: of.items,
    itemsPerPage: ITEMS_PER_PAGE,
    deviceQueue: deviceQueue(of.packDigest, settings.deviceClass),
    window: settings.window ?? DEFAULT_WINDOW,
    chunkSeconds: settings.chunkSeconds ?? DEFAULT_CHUNK_SECONDS,
    checkpointEvery: settings.checkpointEvery ?? CHECKPOINT_EVERY,
    previews: settings.previews ?? of.items <= PREVIEWS_UP_TO,
    priority: settings.priority ?? DEFAULT_PRIORITY,
    ...round,
  };
}

function noWorker(run: string): RefereeError {
  return new RefereeError('NoWorker', `no worker answers for run ${run}: nobody polls the queue ${WORKFLOW_QUEUE}`, {
    details: { run },
  });
}

function cannotGoOn(run: string): RefereeError {
  return new RefereeError(
    'NoWorker',
    `run ${run} does not answer: workers poll ${WORKFLOW_QUEUE}, but cannot go on with it`,
    {
      hint: 'their logs say why; a run needs workers of the version that began it, or of a later one',
      details: { run },
    },
  );
}

async function answered<T>(remote: Remote, ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await remote.call(ask, ANSWER_SECONDS);
  } catch (error) {
    if (isTimeout(error) || isUnanswered(error)) return undefined;
    throw error;
  }
}

/** The server itself says that no worker polls, or the workflow has no such question. */
function isUnanswered(error: unknown): boolean {
  const cause = isRefereeError(error) ? error.cause : error;
  return cause instanceof Error && /no poller|not yet been|QueryNotRegistered|not found/i.test(cause.message);
}

/** The SDK's own number for a history that the code would not have made. */
function isOtherCode(error: unknown): boolean {
  const cause = isRefereeError(error) ? error.cause : error;
  return cause instanceof Error && cause.message.includes('TMPRL1100');
}

async function unlessMissing<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof Error && error.name === 'WorkflowNotFoundError') return undefined;
    throw error;
  }
}

function executionState(name: string): ExecutionState {
  switch (name) {
    case 'RUNNING':
    case 'CONTINUED_AS_NEW':
    case 'PAUSED':
      return 'running';
    case 'COMPLETED':
      return 'completed';
    case 'CANCELLED':
      return 'cancelled';
    case 'TERMINATED':
      return 'terminated';
    default:
      return 'failed';
  }
}

/** From the first event of its history: the server has it also where no worker runs. */
async function readInput(remote: Remote, run: string, runId: string): Promise<BatchInput | undefined> {
  const { client, connection, namespace } = remote;
  const execution = { workflowId: batchId(run), runId };
  const { history } = await remote.call(() =>
    connection.workflowService.getWorkflowExecutionHistory({ namespace, execution, maximumPageSize: 1 }),
  );
  const payloads = history?.events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads;
  const payload = payloads?.[0];
  if (!payload) return undefined;
  return client.options.loadedDataConverter.payloadConverter.fromPayload<BatchInput>(payload);
}

/** Of the protocol's enumeration `TaskQueueType`. */
const QUEUE_TYPES = { workflow: 1, activity: 2 } as const;

interface Queue {
  readonly pollers: number;
  readonly backlog: number;
}

async function pollers(remote: Remote, name: string, kind: keyof typeof QUEUE_TYPES): Promise<Queue> {
  const { connection, namespace } = remote;
  const request = { namespace, taskQueue: { name }, taskQueueType: QUEUE_TYPES[kind], reportStats: true };
  // The enumeration itself is in a package that is no dependency of ours.
  // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment
  const described = await remote.call(() => connection.workflowService.describeTaskQueue(request));
  return { pollers: described.pollers.length, backlog: Number(described.stats?.approximateBacklogCount ?? 0) };
}
