/**
 * @file What is known of a Temporal server before anything is submitted: whether it answers, whether workers ask for work,
 * whether it sorts tasks by their priority.
 */
import type { Finding } from '../activities/doctor/finding.ts';
import { failedFinding } from '../activities/doctor/finding.ts';
import { isRefereeError } from '../errors.ts';
import { deviceQueue, IO_QUEUE, WORKFLOW_QUEUE } from '../workflows/ids.ts';
import { countWorkers } from './batches.ts';
import type { Workers } from './batches.ts';
import type { Remote, RemoteSettings } from './connection.ts';

export interface ServerCheck {
  readonly settings: RemoteSettings;
  /** An absent server is an error, where `submit` is not all that is meant. */
  readonly isNeeded: boolean;
  /** Of the pack; undefined where it cannot be read. */
  readonly packDigest: string | undefined;
  readonly onFinding: (finding: Finding) => void;
}

const NAME = 'temporal';

export async function checkServer({ settings, isNeeded, packDigest, onFinding }: ServerCheck): Promise<void> {
  const open = await loadOpen();
  try {
    await using remote = await open(settings);
    onFinding(await server(remote));
    const queue = packDigest === undefined ? undefined : deviceQueue(packDigest);
    onFinding(await workers(remote, queue));
    if (queue !== undefined) onFinding(await priorities(remote, queue));
  } catch (error) {
    if (!isRefereeError(error)) throw error;
    const isAbsent = error.code === 'ServerUnavailable' && !isNeeded;
    const state = isAbsent ? 'warning' : 'error';
    const known = failedFinding(NAME, error, { state, fix: fixOf(error.code) });
    onFinding(isAbsent ? { ...known, found: `${known.found}: needed for submit only` } : known);
  }
}

/** Apart: inside a function with `await using` TypeScript 6.0 leaves the extension of a dynamic import as it is. */
const loadOpen = async () => (await import('./connection.ts')).openRemote;

function fixOf(code: string): string | undefined {
  switch (code) {
    case 'ServerUnavailable':
      return 'start one with referee dev, or name another with --address or TEMPORAL_ADDRESS';
    case 'NotFound':
      return 'name a namespace of the server with --namespace or TEMPORAL_NAMESPACE, or create it there';
    case 'NotPermitted':
      return 'set TEMPORAL_API_KEY, or the certificates of TEMPORAL_TLS_*, to those of the namespace';
    default:
      return undefined;
  }
}

async function server(remote: Remote): Promise<Finding> {
  const { connection, address, namespace } = remote;
  const { serverVersion } = await remote.call(() => connection.workflowService.getSystemInfo({}));
  await remote.call(() => connection.workflowService.describeNamespace({ namespace }));
  return {
    name: NAME,
    state: 'ok',
    found: `server ${serverVersion || 'of unknown version'} answers at ${address}, namespace ${namespace}`,
    facts: { address, namespace, version: serverVersion },
  };
}

async function workers(remote: Remote, queue: string | undefined): Promise<Finding> {
  const found = await countWorkers(remote, queue ?? deviceQueue(''));
  const asked: readonly (readonly [keyof Workers, string])[] = [
    ['workflows', WORKFLOW_QUEUE],
    ['io', IO_QUEUE],
    ...(queue === undefined ? [] : ([['device', queue]] as const)),
  ];
  const missing = asked.filter(([role]) => found[role] === 0).map(([, name]) => name);
  const facts = Object.fromEntries(asked.map(([role, name]) => [name, found[role]]));
  const name = `${NAME} workers`;
  if (missing.length === 0) {
    const counts = asked.map(([role, each]) => `${String(found[role])} at ${each}`).join(', ');
    return { name, state: 'ok', found: `workers ask for work: ${counts}`, facts };
  }
  return {
    name,
    state: 'warning',
    found: `no worker asks for work at ${missing.join(', ')}: runs that are submitted wait`,
    fix: 'start one with referee worker on the same server and store; one with all lanes taken does not ask',
    facts,
  };
}

/** Of tasks without a key. */
const DEFAULT_PRIORITY = '3';
/** Of the protocol's enumeration `TaskQueueType`. */
const ACTIVITY_QUEUE = 2;

/**
 * The server counts added tasks by their keys and the backlog by where it keeps them: tasks of another key that wait under
 * the default key are not sorted (Temporal 1.29.1, with and without `matching.useNewMatcher`).
 */
async function priorities(remote: Remote, queue: string): Promise<Finding> {
  const { connection, namespace } = remote;
  const request = { namespace, taskQueue: { name: queue }, taskQueueType: ACTIVITY_QUEUE, reportStats: true };
  // The enumeration itself is in a package that is no dependency of ours.
  // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment
  const answer = await remote.call(() => connection.workflowService.describeTaskQueue(request));
  return { name: `${NAME} priorities`, ...prioritiesOf(answer.statsByPriorityKey) };
}

interface KeyStats {
  readonly approximateBacklogCount?: unknown;
  readonly tasksAddRate?: number | null;
}

/** What the statistics of a queue by the keys of its tasks say. */
export function prioritiesOf(stats: Readonly<Record<string, KeyStats>>): Omit<Finding, 'name'> {
  const keys = Object.entries(stats);
  const isWaiting = (count: unknown): boolean => Number(count ?? 0) > 0;
  const waiting = keys.filter(([, stats]) => isWaiting(stats.approximateBacklogCount)).map(([key]) => key);
  const others = keys.filter(([key, stats]) => key !== DEFAULT_PRIORITY && (stats.tasksAddRate ?? 0) > 0);
  const fairness = 'fairness between runs is not told by the server';
  const finding = (state: Finding['state'], found: string, acts: boolean | undefined): Omit<Finding, 'name'> => ({
    state,
    found: `${found}; ${fairness}`,
    ...(state === 'warning' && {
      fix: 'switch on matching.useNewMatcher and matching.enableFairness in the dynamic configuration of the server',
    }),
    facts: { ...(acts !== undefined && { priorities: acts }) },
  });
  if (keys.length === 0)
    return finding(
      'warning',
      'the server knows no priorities of tasks: begun searches do not go before new ones',
      false,
    );
  if (waiting.some((key) => key !== DEFAULT_PRIORITY)) return finding('ok', 'tasks are sorted by their priority', true);
  if (waiting.length > 0 && others.length > 0)
    return finding('warning', 'the server takes priorities and does not sort by them', false);
  return finding('ok', 'whether tasks are sorted by their priority shows only while searches wait', undefined);
}
