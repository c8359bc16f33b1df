/**
 * @file Batches for tests on a real server: a run prepared in a store, workers as child processes, and what they left.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { Client, Connection } from '@temporalio/client';
import type { WorkflowHandle } from '@temporalio/client';

import { PromptTokenizer } from '../../../../activities/prompts.ts';
import { prepareRun as writeRun } from '../../../../activities/prepare-run.ts';
import { resolveRun } from '../../../../activities/specs.ts';
import type { RunSpec } from '../../../../activities/specs.ts';
import { openPack } from '../../../../models/packs/resolve.ts';
import { openStore } from '../../../../store/open-store.ts';
import { batchId, deviceQueue, ITEMS_PER_PAGE, WORKFLOW_QUEUE } from '../../../../workflows/ids.ts';
import type { batch } from '../../../../workflows/batch.ts';
import type { BatchInput } from '../../../../workflows/messages.ts';

/** Prompts that the small tokenizer knows, all different. */
export const PROMPTS: readonly string[] = ['red', 'green', 'blue', 'yellow', 'purple'].flatMap((colour) =>
  ['circle', 'square', 'triangle', 'cross'].map((shape) => `a ${colour} ${shape}`),
);

export interface Prepared {
  readonly spec: RunSpec;
  readonly packDigest: string;
}

/** Everything that `submit` writes before it starts a batch. */
export async function prepareRun(
  folder: string,
  prompts: readonly string[],
  overrides: Readonly<Record<string, unknown>>,
): Promise<Prepared> {
  const pack = await openPack('shapes');
  const requests = prompts.map((prompt, index) => ({ prompt, seed: 0, index, overrides, tags: [], metadata: {} }));
  const spec = resolveRun(requests, pack, await PromptTokenizer.open(pack));
  const store = openStore(folder);
  await writeRun(store, { pack, spec, pending: spec.items, specs: 'later', rejected: [] });
  return { spec, packDigest: pack.digest };
}

export async function connectClient(address: string): Promise<Client> {
  return new Client({ connection: await Connection.connect({ address }) });
}

export type BatchHandle = WorkflowHandle<typeof batch>;

export function startBatch(
  client: Client,
  { spec, packDigest }: Prepared,
  settings: Partial<BatchInput> = {},
): Promise<BatchHandle> {
  const { run, items } = spec;
  const input: BatchInput = {
    v: 1,
    run,
    items: items.length,
    itemsPerPage: ITEMS_PER_PAGE,
    deviceQueue: deviceQueue(packDigest),
    window: 16,
    chunkSeconds: 300,
    checkpointEvery: 4,
    previews: false,
    priority: 3,
    round: 0,
    retryFailed: false,
    tuning: { heartbeatSeconds: 8, retrySeconds: 1, longestRetrySeconds: 4 },
    ...settings,
  };
  return client.workflow.start<typeof batch>('batch', {
    workflowId: batchId(run),
    taskQueue: WORKFLOW_QUEUE,
    args: [input],
  });
}

export interface WorkerOptions {
  /** Modules that are loaded before the command. */
  readonly preload?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** `referee worker` from its sources, in a process of its own. */
export class WorkerProcess {
  readonly #child: ChildProcess;
  readonly ended: Promise<number | null>;
  said = '';

  private constructor(argv: readonly string[], { preload = [], env = {} }: WorkerOptions) {
    const tsx = fileURLToPath(import.meta.resolve('tsx'));
    const main = fileURLToPath(new URL('../../../../cli/main.ts', import.meta.url));
    const imports = [tsx, ...preload].flatMap((file) => ['--import', file]);
    this.#child = spawn(process.execPath, [...imports, main, 'worker', ...argv], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...env },
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.said += text));
    this.ended = once(this.#child, 'close').then(([code]) => code as number | null);
  }

  /** Resolves when it takes work. */
  static async start(
    address: string,
    store: string,
    more: readonly string[] = [],
    options: WorkerOptions = {},
  ): Promise<WorkerProcess> {
    const device = ['--provider', 'cpu', '--threads', '1', '--json'];
    const worker = new WorkerProcess(['--address', address, '--store', store, ...device, ...more], options);
    await worker.saying('ready: takes work');
    return worker;
  }

  /** Resolves when stderr has the text; throws when the process ends before. */
  async saying(text: string): Promise<void> {
    while (!this.said.includes(text)) {
      const isOver = await Promise.race([
        this.ended.then(() => true),
        once(this.#child.stderr!, 'data').then(() => false),
      ]);
      if (isOver && !this.said.includes(text)) throw new Error(`the worker ended: ${this.said.slice(-2000)}`);
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.kill(signal);
    return this.ended;
  }
}
