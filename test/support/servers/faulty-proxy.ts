/**
 * @file The proxy of `open-proxy.ts` for a test file: it ends after its last test, and what a test has ordered with that test.
 */
import { afterEach } from 'vitest';

import { afterFile } from '../after-file.ts';
import { openFaultyProxy } from './open-proxy.ts';
import type { FaultyProxy } from './open-proxy.ts';

export type { Fault, FaultyProxy } from './open-proxy.ts';

const proxies: FaultyProxy[] = [];

/** Faults that a test has ordered end with it. */
afterEach(() => {
  for (const proxy of proxies) {
    proxy.faults.length = 0;
    proxy.always = () => 'pass';
  }
});

export async function startFaultyProxy(target: string, folder: string): Promise<FaultyProxy> {
  const proxy = await openFaultyProxy(target, folder);
  afterFile(() => proxy[Symbol.asyncDispose]());
  proxies.push(proxy);
  return proxy;
}
