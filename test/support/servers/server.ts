/**
 * @file A real server for tests, in a temporary folder, on a port of its own. It can be killed and started again on the
 * same data; it dies with the test process.
 */
import { endChild, isUp, logEnd, startChild } from '../../../cli/dev/child.ts';
import type { Child, ProcessSpec } from '../../../cli/dev/child.ts';
import { Keeper } from '../../../cli/dev/keeper.ts';
import { freePorts } from '../../../cli/dev/ports.ts';

/** Ports are asked for and then taken, a server's inner ones too: another process can come in between. */
const ATTEMPTS = 5;
const GRACE_MS = 10_000;

export class Server {
  readonly port: number;
  readonly #spec: ProcessSpec;
  readonly #keeper = new Keeper();
  #child: Child | undefined;

  private constructor(port: number, spec: ProcessSpec) {
    this.port = port;
    this.#spec = spec;
  }

  static async start(specFor: (port: number) => ProcessSpec): Promise<Server> {
    for (let attempt = 1; ; attempt++) {
      const [port] = await freePorts(1);
      const server = new Server(port!, specFor(port!));
      try {
        await server.start();
        return server;
      } catch (error) {
        await server.stop();
        if (attempt === ATTEMPTS) throw error;
      }
    }
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Again on the same port and data, after `kill` or `stop`. Resolves when it answers. */
  async start(): Promise<void> {
    this.#child = await startChild(this.#spec, this.#keeper);
    if (await isUp(this.#spec, this.#child)) return;
    this.#child = undefined;
    throw new Error(`${this.#spec.name} has ended: ${await logEnd(this.#spec.log)}`);
  }

  /** As by a failing machine. Resolves when it is gone; `start` brings it back. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#child?.exited;
    this.#child = undefined;
  }

  async stop(): Promise<void> {
    if (this.#child !== undefined) await endChild(this.#child, GRACE_MS);
    this.#child = undefined;
    this.#keeper[Symbol.dispose]();
  }
}
