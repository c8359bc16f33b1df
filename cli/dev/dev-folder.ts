/**
 * @file The folder of a development setup: ports and running processes in `dev.json`, credentials in a file of their own
 * that only its owner can read, the servers' data and all logs beside them. One setup at a time.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { z } from 'zod';

import { RefereeError, quoted } from '../../errors.ts';
import { isAlive, killIfAlive } from './identity.ts';
import type { ProcessIdentity } from './identity.ts';
import { tryLock } from './lock.ts';
import type { Lock } from './lock.ts';
import type { Credentials } from './servers.ts';

const Port = z.int().min(1).max(65_535);

const DevState = z.strictObject({
  v: z.literal(1),
  ports: z.strictObject({ temporal: Port.optional(), ui: Port.optional(), s3: Port.optional() }),
  processes: z.array(z.strictObject({ pid: z.int().min(2), started: z.string() })),
});

export type DevState = z.infer<typeof DevState>;
export type PortName = keyof DevState['ports'];

const SavedCredentials = z.strictObject({ accessKey: z.string().min(1), secretKey: z.string().min(8) });

export class DevFolder {
  /** Absolute. */
  readonly path: string;
  readonly #lock: Lock;
  #state: DevState;

  private constructor(path: string, lock: Lock, state: DevState) {
    this.path = path;
    this.#lock = lock;
    this.#state = state;
  }

  /** Takes the folder, and ends what an earlier setup that was killed has left running in it. */
  static async open(folder: string, say: (line: string) => void): Promise<DevFolder> {
    const path = resolve(folder);
    try {
      mkdirSync(join(path, 's3'), { recursive: true, mode: 0o700 });
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
      throw new RefereeError('InvalidOption', `--dir ${quoted(folder)}: expected a folder to write in (${code})`, {
        cause,
      });
    }
    const lock = await tryLock(join(path, 'lock'));
    if (!('release' in lock)) {
      const message = `--dir ${quoted(folder)} is in use by another referee dev (pid ${lock.pid})`;
      throw new RefereeError('FolderInUse', message, { hint: 'name another folder with --dir, or stop that one' });
    }
    try {
      const state = readJson(join(path, 'dev.json'), DevState) ?? { v: 1, ports: {}, processes: [] };
      const left = await endLeftovers(state.processes);
      if (left > 0) say(`ended ${left} processes that an earlier referee dev has left in ${path}`);
      const opened = new DevFolder(path, lock, { ...state, processes: [] });
      opened.#save();
      return opened;
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  port(name: PortName): number | undefined {
    return this.#state.ports[name];
  }

  setPort(name: PortName, port: number): void {
    this.#state = { ...this.#state, ports: { ...this.#state.ports, [name]: port } };
    this.#save();
  }

  /** For the next start, which ends them if this process no longer can. */
  setProcesses(processes: readonly ProcessIdentity[]): void {
    this.#state = { ...this.#state, processes: [...processes] };
    this.#save();
  }

  /** Made at the first start, the same afterwards. */
  credentials(): Credentials {
    const path = join(this.path, 'credentials.json');
    const saved = readJson(path, SavedCredentials);
    if (saved !== undefined) return saved;
    const made = { accessKey: 'referee-dev', secretKey: randomBytes(24).toString('hex') };
    writeWhole(path, made);
    return made;
  }

  async close(): Promise<void> {
    await this.#lock.release();
  }

  #save(): void {
    writeWhole(join(this.path, 'dev.json'), this.#state);
  }
}

async function endLeftovers(processes: readonly ProcessIdentity[]): Promise<number> {
  let left = 0;
  for (const each of processes) {
    if (!(await killIfAlive(each))) continue;
    left += 1;
    // It holds its port and its data until it is gone, which the system sees to.
    while (await isAlive(each)) await sleep(20);
  }
  return left;
}

function readJson<T>(path: string, schema: z.ZodType<T>): T | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw cause;
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    const hint = 'remove it: it is made anew, with other ports or credentials';
    throw new RefereeError('InvalidInput', `${path}: not as referee dev writes it`, { cause, hint });
  }
}

function writeWhole(path: string, value: unknown): void {
  const temporary = `${path}.tmp`;
  writeFileSync(temporary, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  renameSync(temporary, path);
}
