import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, test } from 'vitest';

import { bundleWorkflows } from '../../worker/bundle.ts';

const FOLDER = new URL('../histories/', import.meta.url);
const FILES = readdirSync(FOLDER).sort();

type Events = { eventType: string; activityTaskScheduledEventAttributes?: { activityType: { name: string } } }[];

let code: string;

beforeAll(async () => {
  const logging = { forward: {}, filter: { core: 'ERROR', other: 'ERROR' } } as const;
  Runtime.install({ logger: new DefaultLogger('ERROR'), telemetryOptions: { logging } });
  code = await bundleWorkflows();
});

function eventsOf(file: string): Events {
  return (JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as { events: Events }).events;
}

interface Recording {
  readonly name: string;
  readonly events: Events;
}

/** Names of the recordings that the workflows refuse, with the reason. */
async function refused(recordings: readonly Recording[], workflows = code): Promise<Record<string, string>> {
  const histories = recordings.map(({ name, events }) => ({
    workflowId: name,
    history: historyFromJSON({ events }),
  }));
  const found: Record<string, string> = {};
  let replayed = 0;
  for await (const { workflowId, error } of Worker.runReplayHistories(
    { workflowBundle: { code: workflows } },
    histories,
  )) {
    replayed += 1;
    if (error) found[workflowId] = error.message;
  }
  expect(replayed).toBe(recordings.length);
  return found;
}

const recorded = (name: string): Recording => ({ name, events: eventsOf(name) });

test('there is a recording of every path through every workflow', () => {
  const paths = ['happy', 'retried', 'drained', 'cancelled', 'paused', 'paused-now', 'continued'];
  const expected = paths.flatMap((path) => ['batch', 'page', 'inversion'].map((type) => `${path}.${type}-1.json`));
  expect(FILES).toEqual(expect.arrayContaining(expected));
  const types = (name: string): string[] => eventsOf(name).map(({ eventType }) => eventType);
  expect(types('continued.batch-1.json').at(-1)).toBe('EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW');
  expect(types('cancelled.batch-1.json').at(-1)).toBe('EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED');
  expect(types('cancelled.inversion-1.json')).toContain('EVENT_TYPE_ACTIVITY_TASK_CANCELED');
  expect(types('paused-now.inversion-1.json')).toContain('EVENT_TYPE_ACTIVITY_TASK_CANCELED');
  expect(types('paused-now.inversion-1.json').at(-1)).toBe('EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED');
});

test('every recording replays on the workflows as they are', async () => {
  expect(await refused(FILES.map(recorded))).toEqual({});
});

describe('what breaks runs that are open is noticed', () => {
  const NAME = 'happy.inversion-1.json';

  test('a history in which another activity was called', async () => {
    const events = structuredClone(eventsOf(NAME));
    const scheduled = events.find((event) => event.activityTaskScheduledEventAttributes);
    scheduled!.activityTaskScheduledEventAttributes!.activityType.name = 'claimAnotherItem';
    expect((await refused([{ name: NAME, events }]))[NAME]).toMatch(/[Nn]ondeterminism.*claimAnotherItem/s);
  });

  test('workflows that call another activity', async () => {
    const changed = code.replaceAll('.claimItem(', '.claimAnotherItem(');
    expect(changed).not.toBe(code);
    expect((await refused([recorded(NAME)], changed))[NAME]).toMatch(/[Nn]ondeterminism/);
  });

  test('workflows that do one thing less', async () => {
    const changed = code.replaceAll(/\.finaliseRun\(/g, '?.constructor(');
    expect(changed).not.toBe(code);
    expect(Object.keys(await refused([recorded('happy.batch-1.json')], changed))).toEqual(['happy.batch-1.json']);
  });
});

test('protobufjs is one package for all of the SDK: two would make recordings unreadable', () => {
  const resolvedBy = (name: string): string => {
    const from = createRequire(createRequire(import.meta.url).resolve(name));
    return from.resolve('protobufjs');
  };
  const own = createRequire(import.meta.url).resolve('protobufjs');
  for (const name of ['@temporalio/common', '@temporalio/proto', '@temporalio/client', '@temporalio/worker'])
    expect(resolvedBy(name), name).toBe(own);
});
