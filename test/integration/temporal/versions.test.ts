import { Context } from '@temporalio/activity';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';

import type { WorkerVersion } from '../../../worker/version.ts';
import { deploymentOptions } from '../../../worker/version.ts';
import { batchId, inversionId, pageId, WORKFLOW_QUEUE } from '../../../workflows/ids.ts';
import type { BatchInput } from '../../../workflows/messages.ts';
import { temporaryFolder } from '../../support/folder.ts';
import { startTemporal } from '../../support/servers/servers.ts';
import { referee } from '../support/command.ts';
import { connectClient } from './support/batches.ts';
import {
  Gate,
  scriptedBatch,
  scriptedItem,
  ScriptedWorkers,
  smoothActivities,
  workflowCode,
} from './support/scripted-workers.ts';
import type { Activities } from './support/scripted-workers.ts';

const NAMESPACE = 'default';
const DEPLOYMENT = 'referee';
const version = (buildId: string): WorkerVersion => ({ deploymentName: DEPLOYMENT, buildId });

let address: string;
let client: Client;

beforeAll(async () => {
  const logging = { forward: {}, filter: { core: 'ERROR', other: 'ERROR' } } as const;
  Runtime.install({ logger: new DefaultLogger('ERROR'), telemetryOptions: { logging } });
  ({ address } = await startTemporal());
  client = await connectClient(address);
});

afterAll(() => client.connection.close());

/** Searches that wait until they are let go on; `begun` of an item opens when its first chunk runs. */
function heldSearches(items: number): Activities & { readonly begun: readonly Gate[]; readonly goOn: Gate } {
  const begun = Array.from({ length: items }, () => new Gate());
  const goOn = new Gate();
  return {
    ...smoothActivities(items),
    begun,
    goOn,
    optimiseChunk: async ({ index }) => {
      begun[index]!.open();
      // A worker that goes away does not wait for it.
      await Promise.race([goOn.passed, Context.current().cancelled]);
      return { step: 8, ended: 'done' };
    },
  };
}

function start(run: string, items: number, settings: Partial<BatchInput>): Promise<WorkflowHandle> {
  const input = scriptedBatch(run, items, { ...settings, tuning: { heartbeatSeconds: 60, retrySeconds: 0.1 } });
  return client.workflow.start('batch', { workflowId: batchId(run), taskQueue: WORKFLOW_QUEUE, args: [input] });
}

/** Build ids by which the tasks of a workflow were done, one after the other, without repetitions. */
async function buildsOf(workflowId: string): Promise<string[]> {
  const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
  const builds = (events ?? []).flatMap(
    (event) => event.workflowTaskCompletedEventAttributes?.deploymentVersion?.buildId ?? [],
  );
  return builds.filter((build, at) => build !== builds[at - 1]);
}

/** The version is known to the server some moments after its worker has begun to poll. */
async function setCurrent(buildId: string): Promise<void> {
  await vi.waitFor(
    () =>
      client.workflowService.setWorkerDeploymentCurrentVersion({
        ...{ namespace: NAMESPACE, deploymentName: DEPLOYMENT, buildId, identity: 'test' },
      }),
    { timeout: 60_000, interval: 500 },
  );
}

test('workers whose workflows have other steps than the run: it stays, status says so, and it goes on with the right ones', async () => {
  const run = 'r-changed';
  const searches = heldSearches(1);
  const at = ['--address', address, '--store', await temporaryFolder()];
  const changed = (await workflowCode()).replaceAll(".startChild)('page'", ".startChild)('leaf'");
  expect(changed).not.toBe(await workflowCode());
  const right = await ScriptedWorkers.start(address, { activities: searches });
  const handle = await start(run, 1, {});
  await searches.begun[0]!.passed;
  await right[Symbol.asyncDispose]();
  {
    await using _ = await ScriptedWorkers.start(address, { code: changed });
    const { code, events } = await referee(['status', run, '--json', ...at]);
    expect([code, events]).toEqual([0, [expect.objectContaining({ state: 'running', source: 'store' })]]);
    expect(events[0]!['notes']).toEqual([expect.stringContaining('begun by another version of the workflows')]);
    const paused = await referee(['pause', run, ...at]);
    expect([paused.code, paused.stdout]).toEqual([75, '']);
    expect(paused.stderr).toMatch(/^error: run r-changed:? (was begun by another|does not answer: workers poll)/);
    expect(paused.stderr).toMatch(/\nhint: [^\n]*of the version that began (it|the run), or of a later one\n$/);
  }
  searches.goOn.open();
  await using _ = await ScriptedWorkers.start(address, { activities: searches });
  expect(await handle.result()).toMatchObject({ counts: { done: 1 } });
});

test('two builds: what is open moves on or stays, as its kind says', async () => {
  const run = 'r-builds';
  const items = 2;
  const searches = heldSearches(items);
  const old = await ScriptedWorkers.start(address, {
    activities: searches,
    version: deploymentOptions(version('old')),
  });
  await setCurrent('old');
  const handle = await start(run, items, { itemsPerPage: 1, window: 1 });
  await searches.begun[0]!.passed;
  await using _ = await ScriptedWorkers.start(address, { version: deploymentOptions(version('new')) });
  await setCurrent('new');
  searches.goOn.open();
  await handle.result();
  expect(await buildsOf(batchId(run))).toEqual(['old', 'new']);
  expect(await buildsOf(pageId(run, 0))).toEqual(['old', 'new']);
  expect(await buildsOf(inversionId(run, scriptedItem(0)))).toEqual(['old']);
  expect(await buildsOf(pageId(run, 1))).toEqual(['new']);
  expect(await buildsOf(inversionId(run, scriptedItem(1)))).toEqual(['new']);
  await old[Symbol.asyncDispose]();
});
