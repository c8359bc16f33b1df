/**
 * @file Temporal's server, an S3 server and workers on this machine, over one folder. Everything that dies is started again
 * on the same data; everything dies with this process.
 */
import { join } from 'node:path';

import { isRefereeError } from '../../errors.ts';
import type { ProcessSpec, Role } from './child.ts';
import { DevFolder } from './dev-folder.ts';
import type { PortName } from './dev-folder.ts';
import { findProgram } from './find-program.ts';
import { identityOf, signalGroup } from './identity.ts';
import type { ProcessIdentity } from './identity.ts';
import { Keeper } from './keeper.ts';
import { LOOPBACK, freePorts, isFree } from './ports.ts';
import { PROGRAMS } from './programs.ts';
import type { Places } from './programs.ts';
import { BUCKET, REGION, createBucket, s3Server, temporalServer } from './servers.ts';
import { Supervised } from './supervised.ts';

/** What another command needs to find the setup. */
export interface SetupEnv extends Readonly<Record<string, string>> {
  readonly TEMPORAL_ADDRESS: string;
  readonly REFEREE_STORE: string;
  readonly AWS_ENDPOINT_URL_S3: string;
  readonly AWS_ACCESS_KEY_ID: string;
  readonly AWS_SECRET_ACCESS_KEY: string;
  readonly AWS_REGION: string;
}

export interface SetupProcess {
  readonly role: Role;
  readonly name: string;
  readonly pid: number;
}

export interface SetupOptions {
  readonly folder: string;
  readonly workers: number;
  /** How worker `number` (from 1) is started; asked at each of its starts. */
  readonly workerFor: (number: number, env: SetupEnv, logs: string) => Promise<ProcessSpec>;
  readonly places: Places;
  /** Lines for people. */
  readonly say: (line: string) => void;
  readonly onProcess: (process: SetupProcess) => void;
  /** Stops a setup that is still starting; `startSetup` resolves nevertheless. */
  readonly signal?: AbortSignal;
  /** What stands between workers and the S3 server, if anything: its address for the server's. */
  readonly endpointFor?: (endpoint: string) => Promise<string>;
}

/** A worker saves its searches and ends; what is longer than the worker's own limit is a worker that hangs. */
const WORKER_GRACE_MS = 120_000;
const SERVER_GRACE_MS = 10_000;
/** A port that was free may be taken when the server asks for it. */
const PORT_ATTEMPTS = 5;

export class Setup implements AsyncDisposable {
  readonly env: SetupEnv;
  /** Absolute. */
  readonly folder: string;
  readonly uiPort: number;
  readonly #parts: Parts;

  constructor(env: SetupEnv, uiPort: number, parts: Parts) {
    this.env = env;
    this.uiPort = uiPort;
    this.folder = parts.folder.path;
    this.#parts = parts;
  }

  get processes(): readonly SetupProcess[] {
    return this.#parts.running();
  }

  /** Workers first, which still save their searches, then the servers. The data stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.stop();
  }
}

export async function startSetup(options: SetupOptions): Promise<Setup> {
  const { places, say, workers, workerFor, signal } = options;
  const folder = await DevFolder.open(options.folder, say);
  const parts = new Parts(folder, options);
  signal?.addEventListener('abort', () => void parts.stop());
  try {
    const temporal = await findProgram(PROGRAMS.temporal, places, say);
    const s3 = await findProgram(PROGRAMS.s3, places, say);
    const credentials = folder.credentials();
    const common = { folder: folder.path, env: places.variables };
    const [ports, s3Ports] = await Promise.all([
      parts.startServer(['temporal', 'ui'], ([port, uiPort]) =>
        temporalServer({ ...common, program: temporal, port: port!, uiPort: uiPort! }),
      ),
      parts.startServer(['s3'], ([port]) => s3Server({ ...common, program: s3, port: port!, credentials })),
    ]);
    const endpoint = `http://${LOOPBACK}:${s3Ports[0]!}`;
    if (signal?.aborted !== true) await createBucket(endpoint, credentials);
    const env: SetupEnv = {
      TEMPORAL_ADDRESS: `${LOOPBACK}:${ports[0]!}`,
      REFEREE_STORE: `s3://${BUCKET}`,
      AWS_ENDPOINT_URL_S3: (await options.endpointFor?.(endpoint)) ?? endpoint,
      AWS_ACCESS_KEY_ID: credentials.accessKey,
      AWS_SECRET_ACCESS_KEY: credentials.secretKey,
      AWS_REGION: REGION,
    };
    const numbers = Array.from({ length: workers }, (_, i) => i + 1);
    await Promise.all(
      numbers.map((number) =>
        parts.start({ role: 'worker', name: `worker ${number}` }, () => workerFor(number, env, folder.path)),
      ),
    );
    return new Setup(env, ports[1]!, parts);
  } catch (error) {
    await parts.stop();
    throw error;
  }
}

/** The processes of a setup, in the order of their start. */
class Parts {
  readonly folder: DevFolder;
  readonly #options: SetupOptions;
  readonly #keeper = new Keeper();
  readonly #all: Supervised[] = [];
  readonly #identities = new Map<string, ProcessIdentity>();
  #stopped: Promise<void> | undefined;
  readonly #killAll = (): void => {
    for (const { pid } of this.running()) signalGroup(pid, 'SIGKILL');
  };

  constructor(folder: DevFolder, options: SetupOptions) {
    this.folder = folder;
    this.#options = options;
    process.on('exit', this.#killAll);
  }

  running(): SetupProcess[] {
    return this.#all.flatMap(({ role, name, pid }) => (pid === undefined ? [] : [{ role, name, pid }]));
  }

  async start(of: Pick<ProcessSpec, 'role' | 'name'>, specFor: () => Promise<ProcessSpec>): Promise<void> {
    if (this.#stopped !== undefined) return;
    const onStart = ({ role, name }: ProcessSpec, pid: number): void => {
      void this.#record(name, pid);
      this.#options.onProcess({ role, name, pid });
    };
    const supervised = new Supervised(of, specFor, this.#keeper, { onStart, onEnd: this.#options.say });
    this.#all.push(supervised);
    try {
      await supervised.start();
    } catch (error) {
      this.#all.splice(this.#all.indexOf(supervised), 1);
      throw error;
    }
  }

  /** On the ports of the last time where they are free, else on others. Answers the ports. */
  async startServer(
    names: readonly PortName[],
    specFor: (ports: readonly number[]) => ProcessSpec,
  ): Promise<readonly number[]> {
    for (let attempt = 1; ; attempt++) {
      const ports = await this.#portsFor(names);
      const spec = specFor(ports);
      try {
        await this.start(spec, () => Promise.resolve(spec));
        return ports;
      } catch (error) {
        const isTaken = isRefereeError(error) && error.message.includes('in use');
        if (!isTaken || attempt === PORT_ATTEMPTS) throw error;
      }
    }
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stopAll();
    return this.#stopped;
  }

  async #stopAll(): Promise<void> {
    const isWorker = ({ role }: Supervised): boolean => role === 'worker';
    await Promise.all(this.#all.filter(isWorker).map((worker) => worker.stop(WORKER_GRACE_MS)));
    const servers = this.#all.filter((each) => !isWorker(each));
    await Promise.all(servers.map((server) => server.stop(SERVER_GRACE_MS)));
    process.off('exit', this.#killAll);
    this.#keeper[Symbol.dispose]();
    this.folder.setProcesses([]);
    await this.folder.close();
  }

  async #portsFor(names: readonly PortName[]): Promise<number[]> {
    const fresh = await freePorts(names.length);
    const ports: number[] = [];
    for (const [at, name] of names.entries()) {
      const last = this.folder.port(name);
      const port = last !== undefined && (await isFree(last)) ? last : fresh[at]!;
      if (last !== undefined && port !== last) {
        this.#options.say(`port ${last} is taken by another program: ${name} listens on ${port} now`);
      }
      this.folder.setPort(name, port);
      ports.push(port);
    }
    return ports;
  }

  async #record(name: string, pid: number): Promise<void> {
    const identity = await identityOf(pid);
    if (identity === undefined || this.#stopped !== undefined) return;
    this.#identities.set(name, identity);
    this.folder.setProcesses([...this.#identities.values()]);
  }
}

/** A worker as `referee worker`, with a health port of its own; its log is in the folder of the setup. */
export async function refereeWorker(
  number: number,
  env: SetupEnv,
  folder: string,
  { referee, argv, variables }: { referee: readonly string[]; argv: readonly string[]; variables: ProcessSpec['env'] },
): Promise<ProcessSpec> {
  const [health, metrics] = await freePorts(2);
  const [command, ...before] = referee;
  const where = ['--store', env.REFEREE_STORE, '--address', env.TEMPORAL_ADDRESS];
  const ports = ['--health', `${LOOPBACK}:${health!}`, '--metrics', `${LOOPBACK}:${metrics!}`];
  return {
    role: 'worker',
    name: `worker ${number}`,
    command: command!,
    argv: [...before, 'worker', ...where, ...ports, '--json', ...argv],
    env: { ...variables, ...env },
    log: join(folder, `worker-${number}.log`),
    isReady: async () => (await fetch(`http://${LOOPBACK}:${health!}/readyz`)).ok,
  };
}
