/**
 * @file A trial: batches of real searches while processes are killed, stopped and started again, and calls of the store
 * spoiled; in the end the proofs.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { beginBatch } from './batch.ts';
import type { Batch } from './batch.ts';
import type { Blow, Entry } from './ledger.ts';
import type { ChaosOptions } from './options.ts';
import { shapesPrompt } from './prompts.ts';
import type { ChaosReport } from './report.ts';
import { callFaults, planFaults } from './schedule.ts';
import type { FaultKind, PlannedFault } from './schedule.ts';
import { openSetup } from './setup.ts';
import type { Setup } from './setup.ts';
import { verdict } from './verdict.ts';
import type { ChaosWorker } from './worker.ts';

const LOOK_MS = 150;
/** Without a single step anywhere for so long something is broken for good. */
const STUCK_MS = 300_000;

export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { seed, workers, lanes, referee, spoiledShare, say } = options;
  const spoil = callFaults(seed, spoiledShare);
  await using setup = await openSetup({ workers, lanes, referee, spoil, say });
  Object.assign(process.env, setup.env);
  return await new Trial(options, setup).run();
}

class Trial {
  readonly #options: ChaosOptions;
  readonly #setup: Setup;
  readonly #begun = performance.now();
  readonly #blows: Blow<FaultKind>[] = [];
  readonly #batches: (Batch & { isOver: boolean; readonly prompts: readonly string[] })[] = [];
  /** Of what is killed or stopped now. */
  readonly #restoring = new Map<object, Promise<void>>();
  #broken: Error | undefined;

  constructor(options: ChaosOptions, setup: Setup) {
    this.#options = options;
    this.#setup = setup;
  }

  async run(): Promise<ChaosReport> {
    const { seed, faults, heartbeatSeconds, say } = this.#options;
    await this.#until(() => this.#setup.workers.every(({ isUp }) => isUp));
    say(`${this.#setup.workers.length} workers are ready`);
    await this.#begin();
    for (const [at, fault] of planFaults(seed, faults, heartbeatSeconds * 1000).entries()) {
      const blow = await this.#apply(fault);
      const { done, made } = this.#standing();
      const whom = blow.life === undefined ? '' : ` (${blow.life})`;
      say(`${at + 1}/${faults} ${this.#seconds()} s: ${blow.kind}${whom}; ${done} items done, ${made} steps`);
      await this.#until(() => this.#isOver || this.#entries().some((entry) => isProgress(entry, blow)));
    }
    await Promise.all(this.#restoring.values());
    await this.#until(() => this.#isOver);
    say(`${this.#seconds()} s: all batches are over; the same prompts undisturbed`);
    const entries = this.#entries();
    await Promise.all(this.#setup.workers.map((worker) => worker.end('SIGTERM')));
    const seconds = (performance.now() - this.#begun) / 1000;
    return await verdict(this.#options, this.#setup, { batches: this.#batches, blows: this.#blows, entries, seconds });
  }

  /** When there is something to hit, and what it is to hit is there. */
  async #apply({ kind, target, afterMs, forMs }: PlannedFault): Promise<Blow<FaultKind>> {
    await sleep(afterMs, undefined, { signal: this.#options.signal });
    for (;;) {
      if (this.#isOver) await this.#begin();
      const busy = this.#busyWorkers();
      const worker = busy[Math.floor(target * busy.length)];
      const server = kind === 'Temporal killed' ? this.#setup.temporal : this.#setup.s3;
      if (worker && kind.startsWith('worker')) return this.#hitWorker(kind, worker, forMs);
      if (worker && !kind.startsWith('worker') && !this.#restoring.has(server))
        return this.#hitServer(kind, server, forMs);
      await this.#look();
    }
  }

  #hitWorker(kind: FaultKind, worker: ChaosWorker, forMs: number): Blow<FaultKind> {
    const blow = { kind, time: Date.now(), life: worker.life };
    this.#blows.push(blow);
    this.#restore(worker, kind === 'worker killed' ? worker.kill(forMs) : worker.stop(forMs));
    return blow;
  }

  #hitServer(kind: FaultKind, server: Setup['s3'], forMs: number): Blow<FaultKind> {
    const blow = { kind, time: Date.now() };
    this.#blows.push(blow);
    const work = async (): Promise<void> => {
      await server.kill();
      await sleep(forMs, undefined, { signal: this.#options.signal });
      await server.start();
    };
    this.#restore(server, work());
    return blow;
  }

  #restore(whom: object, work: Promise<void>): void {
    const done = work.catch((error: unknown) => this.#break(error)).then(() => void this.#restoring.delete(whom));
    this.#restoring.set(whom, done);
  }

  /** A further batch, of prompts that no other has. */
  async #begin(): Promise<void> {
    await Promise.all(this.#restoring.values());
    const { items, say } = this.#options;
    const { client, store, closed: signal } = this.#setup;
    const first = this.#batches.length * items;
    const prompts = Array.from({ length: items }, (_, at) => shapesPrompt(first + at));
    const settings = { ...this.#options, prompts, signal };
    const batch = Object.assign(await beginBatch(client, store, settings), { isOver: false, prompts });
    this.#batches.push(batch);
    batch.result.catch((error: unknown) => this.#break(error)).finally(() => (batch.isOver = true));
    say(`batch ${this.#batches.length}: ${batch.run}, ${items} items`);
  }

  get #isOver(): boolean {
    return this.#batches.at(-1)?.isOver !== false;
  }

  /** Those that run and have made a step of an item that is not done. */
  #busyWorkers(): ChaosWorker[] {
    const open = new Map<string, string>();
    for (const { item, life, type } of this.#entries()) {
      if (type === 'done') open.delete(item);
      else if (type === 'step') open.set(item, life);
    }
    const lives = new Set(open.values());
    return this.#setup.workers.filter(
      (worker) => worker.isUp && lives.has(worker.life) && !this.#restoring.has(worker),
    );
  }

  #entries(): Entry[] {
    return this.#setup.workers.flatMap((worker) => worker.entries()).sort((a, b) => a.time - b.time);
  }

  #standing(): { readonly done: number; readonly made: number } {
    const entries = this.#entries();
    const count = (type: Entry['type']): number => entries.filter((entry) => entry.type === type).length;
    return { done: count('done'), made: count('step') };
  }

  async #until(holds: () => boolean): Promise<void> {
    let last = { time: performance.now(), made: -1 };
    while (!holds()) {
      const { made } = this.#standing();
      if (made !== last.made) last = { time: performance.now(), made };
      if (performance.now() - last.time > STUCK_MS) throw new Error(`no step in ${STUCK_MS / 1000} s: stuck`);
      await this.#look();
    }
  }

  async #look(): Promise<void> {
    if (this.#broken) throw this.#broken;
    await sleep(LOOK_MS, undefined, { signal: this.#options.signal });
  }

  /** What the next look throws. */
  #break(error: unknown): void {
    this.#broken ??= error instanceof Error ? error : new Error(String(error));
  }

  #seconds(): string {
    return ((performance.now() - this.#begun) / 1000).toFixed(0);
  }
}

function isProgress({ type, time }: Entry, blow: Blow): boolean {
  return time > blow.time && type === 'step';
}
