/**
 * @file The two small HTTP servers of a worker: `--health` and `--metrics`. On loopback unless a host is named.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { RefereeError } from '../errors.ts';

export interface HostPort {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

export interface SmallServer extends AsyncDisposable {
  /** `host:port` as it is. */
  readonly address: string;
}

/** Answers GET of the paths of `routes`; everything else is 404. */
export async function serveHttp(
  { host, port }: HostPort,
  routes: Readonly<Record<string, () => Answer | Promise<Answer>>>,
): Promise<SmallServer> {
  const server = createServer((request, response) => {
    const path = (request.url ?? '/').split('?')[0]!;
    const route = Object.hasOwn(routes, path) && request.method === 'GET' ? routes[path] : undefined;
    const answer = async (): Promise<Answer> => (route ? route() : { status: 404, type: 'text/plain', body: '' });
    answer().then(
      ({ status, type, body }) => response.writeHead(status, { 'content-type': type }).end(body),
      () => response.writeHead(500).end(),
    );
  });
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RefereeError('InvalidOption', `cannot listen on ${host}:${port}: ${reason}`, { cause });
  }
  const { address, port: actual } = server.address() as AddressInfo;
  return {
    address: `${address}:${actual}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** `8080`, `:8080`, `0.0.0.0:8080`, `[::1]:8080`; undefined for anything else. */
export function parseHostPort(text: string): HostPort | undefined {
  const match = /^(?:(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]*):)?(\d{1,5})$/.exec(text);
  const port = Number(match?.[2] ?? Number.NaN);
  if (!match || port > 65_535) return undefined;
  const host = (match[1] ?? '').replaceAll(/[[\]]/g, '');
  return { host: host === '' ? '127.0.0.1' : host, port };
}
