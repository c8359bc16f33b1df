/**
 * @file The way to a Temporal server: address, namespace, TLS and key as every Temporal tool on the machine reads them
 * (variables `TEMPORAL_*`, profiles of `temporal.toml`), calls that end within a stated time, errors in our words.
 */
import type { Client, Connection } from '@temporalio/client';

import { isRefereeError, quoted, RefereeError } from '../errors.ts';

export interface RemoteSettings {
  /** `host:port`; stronger than the environment and the profile. */
  readonly address?: string | undefined;
  readonly namespace?: string | undefined;
  /** Of `temporal.toml`. */
  readonly profile?: string | undefined;
  /** How long an answer is waited for; 8 by default. */
  readonly connectSeconds?: number;
  /** Instead of the variables of the process. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export interface Remote extends AsyncDisposable {
  readonly client: Client;
  readonly connection: Connection;
  readonly address: string;
  readonly namespace: string;
  /** Calls the server. @throws RefereeError ServerUnavailable, NoWorker, NotPermitted or what `work` throws itself */
  call<T>(work: () => Promise<T>, seconds?: number): Promise<T>;
}

/** Where a server is that nobody named. */
const DEFAULT_ADDRESS = '127.0.0.1:7233';
/** A server that is there answers in milliseconds; one that has just been started needs a few seconds. */
const CONNECT_SECONDS = 8;
const CALL_SECONDS = 10;

/** @throws RefereeError ServerUnavailable naming the address, within some seconds */
export async function openRemote(settings: RemoteSettings = {}): Promise<Remote> {
  const { Client, Connection } = await import('@temporalio/client');
  const { connectionOptions, namespace: configured } = await configuration(settings);
  const address = settings.address ?? connectionOptions.address ?? DEFAULT_ADDRESS;
  const namespace = settings.namespace ?? configured ?? 'default';
  const { tls, apiKey, metadata } = connectionOptions;
  const connection = await guarded(address, () =>
    Connection.connect({
      address,
      connectTimeout: 1000 * (settings.connectSeconds ?? CONNECT_SECONDS),
      ...(tls !== undefined && { tls }),
      ...(apiKey !== undefined && { apiKey }),
      ...(metadata !== undefined && { metadata }),
    }),
  );
  const client = new Client({ connection, namespace });
  return {
    client,
    connection,
    address,
    namespace,
    call: (work, seconds = CALL_SECONDS) =>
      guarded(address, () => connection.withDeadline(Date.now() + seconds * 1000, work)),
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

interface Configured {
  readonly connectionOptions: {
    readonly address?: string;
    readonly tls?: NonNullable<Parameters<typeof Connection.connect>[0]>['tls'];
    readonly apiKey?: string;
    readonly metadata?: Record<string, string>;
  };
  readonly namespace?: string;
}

async function configuration({ env, profile }: RemoteSettings): Promise<Configured> {
  const { loadClientConnectConfig } = await import('@temporalio/envconfig');
  const variables = env && Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  try {
    const { connectionOptions, namespace } = loadClientConnectConfig({
      ...(profile !== undefined && { profile }),
      ...(variables && { overrideEnvVars: Object.fromEntries(variables) }),
    });
    return { connectionOptions: connectionOptions as Configured['connectionOptions'], ...(namespace && { namespace }) };
  } catch (cause) {
    // The message names the file or the profile, never a key.
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new RefereeError('InvalidOption', `configuration of Temporal: ${said}`, { cause, hint: 'see temporal.toml' });
  }
}

/** Codes of gRPC that say something about the way, not about the call. */
const CANCELLED = 1;
const DEADLINE_EXCEEDED = 4;
const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;
const UNAVAILABLE = 14;
const UNAUTHENTICATED = 16;

/** Errors of the transport in our words; others as they are. */
async function guarded<T>(address: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw explained(error, address);
  }
}

export function explained(error: unknown, address: string): unknown {
  if (isRefereeError(error)) return error;
  const code = grpcCode(error);
  const options = { cause: error, details: { address } };
  switch (code) {
    case UNAVAILABLE:
    case DEADLINE_EXCEEDED:
    case CANCELLED:
      return new RefereeError('ServerUnavailable', `no Temporal server answers at ${address}`, options);
    case UNAUTHENTICATED:
    case PERMISSION_DENIED:
      return new RefereeError('NotPermitted', `the Temporal server at ${address} refuses the credentials`, options);
    default:
      break;
  }
  if (code === undefined && isConnectFailure(error))
    return new RefereeError('ServerUnavailable', `no Temporal server answers at ${address}`, options);
  if (isNamespaceMissing(error) || (code === NOT_FOUND && /\bnamespace\b/i.test(detailsOf(error))))
    return new RefereeError('NotFound', `the Temporal server at ${address} has no such namespace`, options);
  if (code !== undefined)
    return new RefereeError(
      'ServerUnavailable',
      `the Temporal server at ${address} answers ${quoted(detailsOf(error))}`,
      options,
    );
  return error;
}

/** The status of the call that failed, also where the client has wrapped the error. */
export function grpcCode(error: unknown): number | undefined {
  for (let at = error; typeof at === 'object' && at !== null; at = Reflect.get(at, 'cause')) {
    const code: unknown = Reflect.get(at, 'code');
    if (typeof code === 'number' && 'details' in at) return code;
  }
  return undefined;
}

function isConnectFailure(error: unknown): boolean {
  return error instanceof Error && /failed to connect|deadline/i.test(error.message);
}

function isNamespaceMissing(error: unknown): boolean {
  return error instanceof Error && error.name === 'NamespaceNotFoundError';
}

function detailsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Whether nobody answered in time, which for a question to a workflow means: no worker. */
export function isTimeout(error: unknown): boolean {
  const cause = isRefereeError(error) ? error.cause : error;
  const code = grpcCode(cause);
  return code === DEADLINE_EXCEEDED || code === CANCELLED || timesOut(cause);
}

function timesOut(error: unknown): boolean {
  return error instanceof Error && error.name === 'WorkflowUpdateRPCTimeoutOrCancelledError';
}
