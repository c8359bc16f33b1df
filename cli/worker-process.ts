/**
 * @file The process of `referee worker`: signals, the two small servers, log and metrics around a worker's life.
 */
import { RefereeError, isRefereeError } from '../errors.ts';
import { openStore } from '../store/open-store.ts';
import { connectWorker } from '../worker/connect.ts';
import { parseHostPort, serveHttp } from '../worker/http.ts';
import type { HostPort } from '../worker/http.ts';
import { createLog } from '../worker/log.ts';
import type { Log } from '../worker/log.ts';
import { WorkerMetrics } from '../worker/metrics.ts';
import type { Role, WorkerListeners } from '../worker/serve.ts';
import { isBuildId, isDeploymentName, versionNote } from '../worker/version.ts';
import type { WorkerVersion } from '../worker/version.ts';
import { installRuntime, openBench, ROLES, serve } from '../worker/serve.ts';
import type { Context } from './context.ts';
import { EXIT } from './exit-codes.ts';
import { invalidFlag } from './flags.ts';
import type { Provider } from './providers.ts';
import { freePorts } from './dev/ports.ts';

export interface WorkerFlags {
  readonly store: string;
  readonly pack: string;
  readonly lanes: number;
  readonly provider: Provider;
  readonly threads?: number;
  readonly address?: string;
  readonly namespace?: string;
  readonly connectSeconds: number;
  readonly class: string;
  readonly roles?: string;
  readonly buildId?: string;
  readonly deployment: string;
  readonly health?: string;
  readonly metrics?: string;
  readonly drainSeconds: number;
  readonly json?: boolean;
}

/** Ends when a signal has come and everything is drained. */
export async function runWorker(flags: WorkerFlags, { stderr }: Context): Promise<void> {
  const log = createLog({ json: flags.json === true, write: (text) => void stderr.write(text) });
  const roles = rolesOf(flags.roles);
  const version = versionOf(flags);
  const health = hostPort('health', flags.health);
  const metricsAt = hostPort('metrics', flags.metrics);
  const store = openStore(flags.store);
  await store.check();
  using signals = onSignals(log, flags.drainSeconds);

  await using closing = new Closing();
  let isReady = false;
  if (health) {
    const ok = { status: 200, type: 'text/plain', body: 'ok\n' };
    const server = await serveHttp(health, {
      '/healthz': () => ok,
      '/readyz': () => (isReady ? ok : { ...ok, status: 503, body: 'not ready\n' }),
    });
    closing.use(server);
    log('info', `health at http://${server.address}/readyz`);
  }
  let busy = (): number => 0;
  const metrics = new WorkerMetrics(() => busy(), roles.includes('device') ? flags.lanes : 0);
  if (metricsAt) {
    const [corePort] = await freePorts(1);
    const core = `127.0.0.1:${corePort}`;
    installRuntime(log, core);
    const server = await serveHttp(metricsAt, { '/metrics': () => allMetrics(metrics, core) });
    closing.use(server);
    log('info', `metrics at http://${server.address}/metrics`);
  } else installRuntime(log);

  const listeners = listenersOf(log, metrics, () => (isReady = true));
  const device = { ...flags, class: flags.class };
  const bench = roles.includes('device') ? closing.use(await openBench(store, device, listeners)) : undefined;
  if (bench) busy = () => bench.lanes.busy;
  const { address, namespace, connectSeconds: seconds } = flags;
  const connected = await connectWorker({
    address,
    namespace,
    seconds,
    onWait: (line) => log('info', line),
    signal: signals.signal,
  });
  closing.defer(() => connected.connection.close());
  const { drainSeconds } = flags;
  if (version && roles.includes('workflows')) log('info', versionNote(version));
  await serve(connected, { store, roles, device, drainSeconds, version }, bench, listeners, signals.signal);
  log('info', 'drained');
}

/** Closes the last first. Node 20 has no AsyncDisposableStack. */
class Closing implements AsyncDisposable {
  readonly #all: (() => PromiseLike<void>)[] = [];

  use<T extends AsyncDisposable>(resource: T): T {
    this.#all.unshift(() => resource[Symbol.asyncDispose]());
    return resource;
  }

  defer(close: () => Promise<void>): void {
    this.#all.unshift(close);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.#all) await close();
  }
}

function listenersOf(log: Log, metrics: WorkerMetrics, ready: () => void): WorkerListeners {
  return {
    log,
    onReady: (queues) => {
      ready();
      log('info', `ready: takes work from ${queues.join(', ')}`);
    },
    onEvent: (event, attempt) => {
      metrics.onEvent(event);
      const { run } = event as { run?: string };
      const item = 'item' in event ? event.item : undefined;
      const step = 'step' in event ? event.step : undefined;
      const code = event.type === 'failed' ? event.error.code : undefined;
      const isDetail = event.type === 'step' || event.type === 'preview';
      const message = event.type === 'note' ? event.message : event.type;
      log(isDetail ? 'debug' : 'info', message, { run, item, step, attempt, code });
    },
    onError: (error, { activity, run, item, attempt }) => {
      const code = isRefereeError(error) ? error.code : 'Internal';
      metrics.onError(code);
      const message = error instanceof Error ? error.message : String(error);
      log('warn', `${activity}: ${message}`, { run, item, attempt, code });
    },
  };
}

async function allMetrics(own: WorkerMetrics, core: string): Promise<{ status: number; type: string; body: string }> {
  const temporal = await fetch(`http://${core}/metrics`).then(
    (response) => response.text(),
    () => '',
  );
  return { status: 200, type: 'text/plain; version=0.0.4', body: `${await own.text()}${temporal}` };
}

function rolesOf(text: string | undefined): readonly Role[] {
  if (text === undefined) return ROLES;
  const roles = text.split(',').map((role) => role.trim());
  const isRole = (role: string): role is Role => (ROLES as readonly string[]).includes(role);
  if (roles.every(isRole)) return roles;
  throw invalidFlag('roles', `some of ${ROLES.join(',')}`, text);
}

function versionOf({ buildId, deployment }: WorkerFlags): WorkerVersion | undefined {
  if (!isDeploymentName(deployment))
    throw invalidFlag('deployment', '1 to 64 letters, digits, "-" and "_"', deployment);
  if (buildId === undefined) return undefined;
  if (isBuildId(buildId)) return { deploymentName: deployment, buildId };
  throw invalidFlag('build-id', '1 to 100 letters, digits and ".", "_", "+", "-"', buildId);
}

function hostPort(flag: string, text: string | undefined): HostPort | undefined {
  if (text === undefined) return undefined;
  const parsed = parseHostPort(text);
  if (!parsed) throw invalidFlag(flag, 'a port, or host:port', text);
  return parsed;
}

interface Signals extends Disposable {
  /** Aborted by the first SIGTERM or SIGINT. */
  readonly signal: AbortSignal;
}

/** The first signal drains, the second ends the process at once. */
function onSignals(log: Log, drainSeconds: number): Signals {
  const controller = new AbortController();
  const handle = (): void => {
    if (controller.signal.aborted) process.exit(EXIT.unexpected);
    log('info', `drains: saves all items at their next step, ${drainSeconds} s at most; a second signal ends at once`);
    controller.abort(new RefereeError('Interrupted', 'drained'));
  };
  process.on('SIGTERM', handle).on('SIGINT', handle);
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => void process.off('SIGTERM', handle).off('SIGINT', handle),
  };
}
