import { setImmediate } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import { ResultQueue } from '../../activities/library/result-queue.ts';

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  return Promise.race([promise.then(() => true), setImmediate(false)]);
}

describe('the queue of results', () => {
  test('keeps the order, and ends after the last value', async () => {
    const queue = new ResultQueue<number>(10);
    for (const value of [1, 2, 3]) await queue.push(value);
    queue.end();
    const taken = [await queue.next(), await queue.next(), await queue.next()];
    expect(taken.map(({ value }) => value)).toEqual([1, 2, 3]);
    expect(await queue.next()).toEqual({ done: true, value: undefined });
  });

  test('lets the producer wait when it is full, until a value is taken', async () => {
    const queue = new ResultQueue<number>(2);
    await queue.push(1);
    const second = queue.push(2);
    expect(await isSettled(second)).toBe(false);
    await queue.next();
    expect(await isSettled(second)).toBe(true);
  });

  test('serves calls of next that came before the values, in their order', async () => {
    const queue = new ResultQueue<number>(1);
    const pending = [queue.next(), queue.next()];
    await queue.push(1);
    await queue.push(2);
    expect((await Promise.all(pending)).map(({ value }) => value)).toEqual([1, 2]);
  });

  test('gives what waits before the error, the error once, then the end', async () => {
    const queue = new ResultQueue<number>(10);
    await queue.push(1);
    queue.end({ reason: new Error('broken') });
    expect((await queue.next()).value).toBe(1);
    await expect(queue.next()).rejects.toThrow('broken');
    expect((await queue.next()).done).toBe(true);
  });

  test('ends every pending next: the first with the error', async () => {
    const queue = new ResultQueue<number>(10);
    const [first, second] = [queue.next(), queue.next()];
    queue.end({ reason: new Error('broken') });
    await expect(first).rejects.toThrow('broken');
    expect(await second).toEqual({ done: true, value: undefined });
  });

  test('keeps no producer once it is closed, or lifted', async () => {
    for (const release of ['close', 'lift'] as const) {
      const queue = new ResultQueue<number>(1);
      const stuck = queue.push(1);
      expect(await isSettled(stuck)).toBe(false);
      queue[release]();
      expect(await isSettled(stuck)).toBe(true);
      expect(await isSettled(queue.push(2))).toBe(true);
    }
  });

  test('drops what waits when it is closed', async () => {
    const queue = new ResultQueue<number>(10);
    await queue.push(1);
    queue.close();
    expect((await queue.next()).done).toBe(true);
  });
});
