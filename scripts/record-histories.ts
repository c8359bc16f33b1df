/**
 * @file Records histories of batches, pages and items from Temporal's own server, for the test that replays them: a change
 * of the workflows that would break runs that are open fails there. Usage: npm run record:histories [-- <name> ...]
 *
 * Activities answer as each scenario says. A history of a version that was released is never changed or removed while
 * runs of that version may be open: record a changed workflow under further names.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Client, Connection } from '@temporalio/client';
import type { WorkflowExecutionInfo, WorkflowHandle } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { DefaultLogger, Runtime } from '@temporalio/worker';

import { readPlaces } from '../cli/config.ts';
import { findProgram } from '../cli/dev/find-program.ts';
import { LOOPBACK } from '../cli/dev/ports.ts';
import { PROGRAMS } from '../cli/dev/programs.ts';
import { temporalServer } from '../cli/dev/servers.ts';
import { SCENARIOS } from '../test/integration/temporal/support/scenarios.ts';
import type { Scenario } from '../test/integration/temporal/support/scenarios.ts';
import { IDENTITY, scriptedBatch, ScriptedWorkers } from '../test/integration/temporal/support/scripted-workers.ts';
import { Server } from '../test/support/servers/server.ts';
import { batchId, WORKFLOW_QUEUE } from '../workflows/ids.ts';
import type { BatchInput } from '../workflows/messages.ts';

const FOLDER = new URL('../test/histories/', import.meta.url);

async function record(client: Client, address: string, name: string, scenario: Scenario): Promise<void> {
  const { items, settings, activities, act } = scenario;
  const run = `r-${name}`;
  await using _ = await ScriptedWorkers.start(address, { activities });
  const begin = (more: Partial<BatchInput> = {}): Promise<WorkflowHandle> =>
    client.workflow.start('batch', {
      workflowId: batchId(run),
      taskQueue: WORKFLOW_QUEUE,
      args: [scriptedBatch(run, items, { ...settings, ...more })],
    });
  await act({ begin, run });
  for (const kind of ['batch', 'page', 'item']) await write(client, { name, prefix: `${kind}:${run}` });
}

/** All runs of the workflows of one kind, without those whose events are of the same types in the same order. */
async function write(
  client: Client,
  { name, prefix }: { readonly name: string; readonly prefix: string },
): Promise<void> {
  const found: WorkflowExecutionInfo[] = [];
  for await (const each of client.workflow.list({ query: `WorkflowId STARTS_WITH "${prefix}"` })) found.push(each);
  found.sort((a, b) => a.workflowId.localeCompare(b.workflowId) || a.startTime.getTime() - b.startTime.getTime());
  const seen = new Set<string>();
  for (const { workflowId, runId, type } of found) {
    const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    const { events } = JSON.parse(historyToJSON(history)) as { events: { eventType: string }[] };
    const shape = events.map(({ eventType }) => eventType).join();
    if (seen.has(shape)) continue;
    seen.add(shape);
    // One event a line: small, and a change of a recording can be read.
    const lines = events.map((event) => JSON.stringify(event)).join(',\n');
    const file = `${name}.${type}-${seen.size}.json`;
    await writeFile(new URL(file, FOLDER), `{"events":[\n${lines}\n]}\n`);
    process.stdout.write(`${file}: ${events.length} events of ${workflowId}\n`);
  }
}

async function main(names: readonly string[]): Promise<void> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const places = readPlaces();
  const program = await findProgram(PROGRAMS.temporal, places, (line) => process.stderr.write(`${line}\n`));
  const folder = await mkdtemp(join(tmpdir(), 'referee-histories-'));
  const env = { ...places.variables };
  const server = await Server.start((port) => temporalServer({ program, folder, port, env }));
  const address = `${LOOPBACK}:${server.port}`;
  const client = new Client({ connection: await Connection.connect({ address }), identity: IDENTITY });
  try {
    await mkdir(FOLDER, { recursive: true });
    for (const [name, scenario] of Object.entries(SCENARIOS)) {
      if (names.length === 0 || names.includes(name)) await record(client, address, name, scenario);
    }
  } finally {
    await client.connection.close();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

await main(process.argv.slice(2));
