/**
 * @file A device on Node: onnxruntime in a thread of its own, called by messages. The main event loop stays free while a
 * graph runs.
 */
import { availableParallelism } from 'node:os';

import { RefereeError, quoted } from '../../errors.ts';
import type { Tensor } from '../onnx/dtype.ts';
import type { Device, DeviceStats, MemoryMode, ProviderName, Session, SessionOptions, SessionStats } from './device.ts';
import { checkFeeds, checkOutputs } from './feeds.ts';
import { keepFullPrecision } from './full-precision.ts';
import type { NodePlacement } from './placement.ts';
import type { Answers } from './protocol.ts';
import { DeviceChannel } from './device-channel.ts';
import { isOutOfMemory, sessionError } from './session-errors.ts';

export interface DeviceOptions {
  /** Default `auto`: the best that passes its self-test. A provider that is asked for by name is used or refused. */
  readonly provider?: ProviderName | 'auto';
  /** Threads inside one operator, on the CPU. Default: the cores that this process may use. */
  readonly threads?: number;
  /** `small` gives memory back after every run, at some cost in time. Default `fast`. */
  readonly memory?: MemoryMode;
  /** Told, in one line each, which providers were looked at and which one was taken. */
  readonly log?: (line: string) => void;
}

/** Far above any machine; a typing error should not start a million threads. */
const MOST_THREADS = 1024;

/**
 * Starts the device thread and chooses its provider. Where that may be CUDA, this process's environment is told to keep
 * products in float32 (`full-precision.ts`).
 *
 * @throws RefereeError `ProviderNotAvailable`, naming what there is; `InvalidOption` for a number of threads below 1
 */
export async function openDevice(options: DeviceOptions = {}): Promise<Device> {
  return open(options, false);
}

export interface ProfiledDevice extends Device {
  /** Where the nodes of each session ran until now. Once: sessions keep no profile afterwards. */
  placement(): Promise<readonly NodePlacement[]>;
}

/** As `openDevice`, with sessions that know which provider each node ran on. */
export async function openProfiledDevice(options: DeviceOptions = {}): Promise<ProfiledDevice> {
  return open(options, true);
}

async function open(options: DeviceOptions, isProfiled: boolean): Promise<NodeDevice> {
  const { provider = 'auto', threads = availableParallelism(), memory = 'fast', log } = options;
  if (!Number.isInteger(threads) || threads < 1 || threads > MOST_THREADS) {
    throw new RefereeError(
      'InvalidOption',
      `threads is ${quoted(threads)}, expected a whole number from 1 to ${MOST_THREADS}`,
    );
  }
  keepFullPrecision(provider);
  const { channel, ready } = await DeviceChannel.open({ provider, threads, memory, isProfiled });
  if (log !== undefined) ready.notes.forEach((note) => log(note));
  return new NodeDevice(channel, ready.provider, threads);
}

class NodeDevice implements Device {
  readonly provider: ProviderName;
  readonly threads: number;
  readonly #channel: DeviceChannel;
  readonly #stats = new Map<string, SessionStats>();

  constructor(channel: DeviceChannel, provider: ProviderName, threads: number) {
    this.#channel = channel;
    this.provider = provider;
    this.threads = threads;
  }

  async load(model: Uint8Array, options: SessionOptions): Promise<Session> {
    const { name } = options;
    const copy = new Uint8Array(model);
    const answer = await this.#channel.call<'load'>({ kind: 'load', model: copy, options }, [copy.buffer]);
    this.#count(name, { calls: 0, seconds: 0, loadSeconds: answer.seconds });
    return new NodeSession(this.#channel, { name, provider: this.provider }, answer, (seconds) =>
      this.#count(name, { calls: 1, seconds, loadSeconds: 0 }),
    );
  }

  stats(): Promise<DeviceStats> {
    return Promise.resolve({
      sessions: Object.fromEntries(this.#stats),
      residentBytes: process.memoryUsage.rss(),
    });
  }

  placement(): Promise<readonly NodePlacement[]> {
    return this.#channel.call<'placement'>({ kind: 'placement' });
  }

  close(): Promise<void> {
    return this.#channel.close();
  }

  #count(name: string, more: SessionStats): void {
    const before = this.#stats.get(name) ?? { calls: 0, seconds: 0, loadSeconds: 0 };
    this.#stats.set(name, {
      calls: before.calls + more.calls,
      seconds: before.seconds + more.seconds,
      loadSeconds: before.loadSeconds + more.loadSeconds,
    });
  }
}

class NodeSession implements Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly #channel: DeviceChannel;
  readonly #name: string;
  readonly #provider: ProviderName;
  readonly #loaded: Answers['load'];
  readonly #onRun: (seconds: number) => void;
  #isReleased = false;

  constructor(
    channel: DeviceChannel,
    { name, provider }: { readonly name: string; readonly provider: ProviderName },
    loaded: Answers['load'],
    onRun: (seconds: number) => void,
  ) {
    this.#channel = channel;
    this.#name = name;
    this.#provider = provider;
    this.#loaded = loaded;
    this.#onRun = onRun;
    this.inputNames = loaded.inputs.map((input) => input.name);
    this.outputNames = loaded.outputs.map((output) => output.name);
  }

  async run(feeds: Readonly<Record<string, Tensor>>, outputs?: readonly string[]): Promise<Record<string, Tensor>> {
    if (this.#isReleased)
      throw new RefereeError('Internal', `session ${quoted(this.#name)} was released before this run`);
    checkFeeds(this.#name, this.#loaded.inputs, feeds);
    const asked = checkOutputs(this.#name, this.#loaded.outputs, outputs);
    const copies = copiesOf(feeds, (cause) =>
      sessionError(cause, { session: this.#name, provider: this.#provider, during: 'run' }),
    );
    const answer = await this.#channel.call<'run'>(
      { kind: 'run', session: this.#loaded.session, feeds: Object.fromEntries(copies), outputs: asked },
      copies.map(([, { data }]) => data.buffer),
    );
    this.#onRun(answer.seconds);
    return answer.outputs;
  }

  async release(): Promise<void> {
    if (this.#isReleased) return;
    this.#isReleased = true;
    await this.#channel.call<'release'>({ kind: 'release', session: this.#loaded.session });
  }
}

/** Copies are given away to the thread; the caller keeps its own. */
function copiesOf(
  feeds: Readonly<Record<string, Tensor>>,
  outOfMemory: (cause: unknown) => RefereeError,
): (readonly [string, Tensor & { readonly data: { readonly buffer: ArrayBuffer } }])[] {
  try {
    return Object.entries(feeds).map(([name, tensor]) => [name, { ...tensor, data: tensor.data.slice() }] as const);
  } catch (error) {
    throw isOutOfMemory(error) ? outOfMemory(error) : error;
  }
}
