/**
 * @file The way to Temporal's server: address, namespace and keys as every Temporal tool on the machine takes them
 * (TEMPORAL_* variables, profiles), and patience while the server is away.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection } from '@temporalio/worker';

import { RefereeError } from '../errors.ts';

export interface ConnectOptions {
  readonly address?: string | undefined;
  readonly namespace?: string | undefined;
  /** How long to try, seconds. */
  readonly seconds: number;
  readonly onWait: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface Connected {
  readonly connection: NativeConnection;
  readonly namespace: string;
}

const PAUSE_MS = 1000;

/** @throws RefereeError ServerUnavailable when it did not answer in time */
export async function connectWorker({ seconds, onWait, signal, ...given }: ConnectOptions): Promise<Connected> {
  const config = loadClientConnectConfig();
  const options = { ...config.connectionOptions, ...(given.address !== undefined && { address: given.address }) };
  const address = options.address ?? 'localhost:7233';
  const namespace = given.namespace ?? config.namespace ?? 'default';
  const end = performance.now() + seconds * 1000;
  for (let tries = 0; ; tries++) {
    try {
      return { connection: await NativeConnection.connect({ ...options, address }), namespace };
    } catch (cause) {
      if (performance.now() >= end || signal.aborted) {
        throw new RefereeError('ServerUnavailable', `no Temporal server answers at ${address} within ${seconds} s`, {
          cause,
          hint: 'start one with: referee dev, or name another with --address',
        });
      }
      if (tries === 0) onWait(`waiting for a Temporal server at ${address}, ${seconds} s at most`);
      await sleep(PAUSE_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}
