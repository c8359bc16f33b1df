/**
 * @file The main thread's end of a device thread: numbered calls, their answers, and what becomes of both when the thread
 * ends.
 */
import { Worker, type Transferable } from 'node:worker_threads';

import { RefereeError } from '../../errors.ts';
import { holdExit, newGuardWord } from './exit-guard.ts';
import type { Answers, DeviceCall, DeviceSettings, ErrorData, Reply, Request, ThreadData } from './protocol.ts';

type Ready = Extract<Reply, { kind: 'ready' }>;

interface Waiting {
  readonly resolve: (answer: Answers[keyof Answers]) => void;
  readonly reject: (error: RefereeError) => void;
}

export class DeviceChannel {
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  readonly #waiting = new Map<number, Waiting>();
  #calls = 0;
  /** Why the thread takes no more calls. */
  #lost: RefereeError | undefined;
  #closing: Promise<void> | undefined;

  private constructor(worker: Worker) {
    this.#worker = worker;
    this.#exited = new Promise((resolve) => {
      worker.once('exit', (code) => {
        this.#lose(`the device thread ended with exit code ${code}`);
        resolve();
      });
    });
    worker.on('message', (reply: Reply) => this.#receive(reply));
    worker.on('error', (cause) => this.#lose(`the device thread failed: ${cause.message.replace(/\s+/g, ' ')}`, cause));
    worker.on('messageerror', (cause) => this.#lose('a message of the device thread could not be read', cause));
  }

  /** Starts a thread and waits until it has a provider. */
  static async open(settings: DeviceSettings): Promise<{ channel: DeviceChannel; ready: Ready }> {
    const worker = startThread({ settings, guard: newGuardWord() });
    const ready = await new Promise<Ready>((resolve, reject) => {
      worker.once('error', (cause) =>
        reject(new RefereeError('DeviceLost', `the device thread failed: ${cause.message}`, { cause })),
      );
      worker.once('exit', (code) =>
        reject(new RefereeError('DeviceLost', `the device thread ended with exit code ${code}`)),
      );
      worker.once('message', (reply: Reply) => {
        if (reply.kind === 'ready') resolve(reply);
        else if (reply.kind === 'failed') reject(toError(reply.error));
      });
    });
    return { channel: new DeviceChannel(worker), ready };
  }

  /** Sends one call; buffers in `transfer` are gone for the caller. */
  call<K extends keyof Answers>(
    call: Extract<DeviceCall, { kind: K }>,
    transfer: readonly Transferable[] = [],
  ): Promise<Answers[K]> {
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    if (this.#closing !== undefined) return Promise.reject(new RefereeError('DeviceLost', 'the device was closed'));
    return this.#send(call, transfer) as Promise<Answers[K]>;
  }

  /** Waits for the calls under way, releases every session and ends the thread. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      if (this.#lost === undefined) await this.#send({ kind: 'close' }, []).catch(() => null);
      await this.#exited;
    })();
    return this.#closing;
  }

  #send(call: DeviceCall, transfer: readonly Transferable[]): Promise<Answers[keyof Answers]> {
    this.#calls += 1;
    const request: Request = { id: this.#calls, call };
    return new Promise((resolve, reject) => {
      this.#waiting.set(request.id, { resolve, reject });
      this.#worker.postMessage(request, transfer);
    });
  }

  #receive(reply: Reply): void {
    if (reply.kind !== 'answer' && reply.kind !== 'error') return;
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (reply.kind === 'answer') waiting?.resolve(reply.answer);
    else waiting?.reject(toError(reply.error));
  }

  #lose(message: string, cause?: Error): void {
    this.#lost ??= new RefereeError('DeviceLost', this.#closing === undefined ? message : 'the device was closed', {
      ...(cause === undefined ? {} : { cause }),
    });
    for (const { reject } of this.#waiting.values()) reject(this.#lost);
    this.#waiting.clear();
  }
}

/** Run from sources, the thread enters through a file that loads TypeScript; built, it is an ordinary module. */
function startThread(data: ThreadData): Worker {
  const entry = import.meta.url.endsWith('.ts') ? './device-thread-from-sources.js' : './device-thread.js';
  // Without the parent's flags: a loader or an inspector port of its own is not meant for the thread.
  const worker = new Worker(new URL(entry, import.meta.url), { workerData: data, execArgv: [] });
  worker.once('exit', holdExit(data.guard));
  return worker;
}

function toError({ code, message, hint, details }: ErrorData): RefereeError {
  return new RefereeError(code, message, { ...(hint !== undefined && { hint }), ...(details && { details }) });
}
