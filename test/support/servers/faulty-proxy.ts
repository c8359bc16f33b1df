/**
 * @file The proxy of `open-proxy.ts` for a test file: it ends after its last test.
 */
import { afterAll } from 'vitest';

import { openFaultyProxy } from './open-proxy.ts';
import type { FaultyProxy } from './open-proxy.ts';

export type { Fault, FaultyProxy } from './open-proxy.ts';

export async function startFaultyProxy(target: string, folder: string): Promise<FaultyProxy> {
  const proxy = await openFaultyProxy(target, folder);
  afterAll(() => proxy[Symbol.asyncDispose]());
  return proxy;
}
