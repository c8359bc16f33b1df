/**
 * @file A proxy in front of a server that spoils calls on order: the first call takes the first fault of the list, and so
 * on; `pass` and an empty list let calls through.
 */
import { rm } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export type Fault =
  | 'pass'
  | 500
  | 503
  | 409
  | 403
  | 507
  /** The connection ends instead of an answer, before the server has heard of the call. */
  | 'reset'
  /** The server has done what it was asked; the answer does not come. */
  | 'lost-answer'
  /** Half of the answer's body. */
  | 'cut'
  /** All of the body, one bit of it wrong. */
  | 'altered'
  /** No answer, and the connection stays. */
  | 'hang'
  /** Done as it should be, but late. */
  | 'delay'
  /** A write is done as if it had no condition: what is there is removed just before it. */
  | 'unconditional'
  /** The answer lacks the metadata of the object. */
  | 'no-metadata'
  /** A listing without anything in it. */
  | 'empty-listing'
  /** The header of a condition is answered as one that is not known. */
  | 501;

export interface FaultyProxy {
  readonly url: string;
  /** Of the next calls. Emptied as they come. */
  readonly faults: Fault[];
  /** For every call that the list has nothing for. */
  always: (method: string, path: string) => Fault;
  /** Calls so far: `PUT 500`. */
  readonly seen: string[];
}

/** Of a call that is answered late, milliseconds. */
const DELAY_MS = 1500;

/** Listens on a free port of the loopback until it is disposed of. */
export async function openFaultyProxy(target: string, folder: string): Promise<FaultyProxy & AsyncDisposable> {
  const faults: Fault[] = [];
  const proxy: { -readonly [K in keyof FaultyProxy]: FaultyProxy[K] } = {
    url: '',
    faults,
    seen: [],
    always: () => 'pass',
  };
  const server = createServer((incoming, outgoing) => {
    const fault = faults.shift() ?? proxy.always(incoming.method ?? '', incoming.url ?? '');
    proxy.seen.push(`${incoming.method} ${fault}`);
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('error', () => undefined);
    incoming.on('end', () => void spoil(fault, { target, folder, incoming, outgoing, body: Buffer.concat(chunks) }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  proxy.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return Object.assign(proxy, {
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

interface Exchange {
  readonly target: string;
  /** Where the server keeps its buckets. */
  readonly folder: string;
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly body: Buffer;
}

const NAMES: Readonly<Record<number, string>> = {
  403: 'AccessDenied',
  409: 'ConditionalRequestConflict',
  500: 'InternalError',
  501: 'NotImplemented',
  503: 'SlowDown',
  507: 'XMinioStorageFull',
};

async function spoil(fault: Fault, exchange: Exchange): Promise<void> {
  const { incoming, outgoing } = exchange;
  const isConditional = incoming.headers['if-none-match'] !== undefined;
  if (fault === 'hang') return;
  if (fault === 'reset') {
    outgoing.destroy();
  } else if (typeof fault === 'number' && (fault !== 501 || isConditional)) {
    outgoing.writeHead(fault, { 'content-type': 'application/xml' });
    outgoing.end(`<?xml version="1.0"?><Error><Code>${NAMES[fault]}</Code><Message>as ordered</Message></Error>`);
  } else {
    // The condition itself is signed and cannot be taken away.
    if (fault === 'unconditional' && isConditional) {
      await rm(join(exchange.folder, new URL(incoming.url!, exchange.target).pathname), { force: true });
    }
    if (fault === 'delay') await sleep(DELAY_MS);
    const answer = await forward(exchange);
    // A server that is away looks as it would without a proxy.
    if (answer === undefined) return void outgoing.destroy();
    if (fault === 'no-metadata') {
      for (const name of Object.keys(answer.headers).filter((each) => each.startsWith('x-amz-meta-')))
        Reflect.deleteProperty(answer.headers, name);
    }
    if (fault === 'empty-listing') {
      answer.body = Buffer.from(answer.body.toString().replaceAll(/<Contents>.*?<\/Contents>/gs, ''));
      answer.headers['content-length'] = String(answer.body.length);
    }
    if (fault === 'lost-answer') return void outgoing.destroy();
    outgoing.writeHead(answer.status, answer.headers);
    if (fault === 'altered' && answer.body.length > 0) answer.body[0]! ^= 1;
    if (fault !== 'cut') return void outgoing.end(answer.body);
    outgoing.write(answer.body.subarray(0, answer.body.length >> 1), () => outgoing.destroy());
  }
}

function forward({
  target,
  incoming,
  body,
}: Exchange): Promise<{ status: number; headers: IncomingMessage['headers']; body: Buffer } | undefined> {
  return new Promise((resolve) => {
    const onward = request(
      `${target}${incoming.url}`,
      { method: incoming.method!, headers: incoming.headers },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', () => resolve(undefined));
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) }),
        );
      },
    );
    onward.on('error', () => resolve(undefined));
    onward.end(body);
  });
}
