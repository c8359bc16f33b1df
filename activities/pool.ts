/**
 * @file Work on many things, some at a time, for sources that are longer than the memory.
 */

/** Calls `work` for each, at most `most` at the same time. The first error ends it, after the calls that are going on. */
export async function forEachOf<T>(
  all: Iterable<T> | AsyncIterable<T>,
  most: number,
  work: (each: T) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  let failure: { readonly reason: unknown } | undefined;
  try {
    for await (const each of all) {
      const call = work(each)
        .catch((reason: unknown) => void (failure ??= { reason }))
        .finally(() => running.delete(call));
      running.add(call);
      if (running.size >= most) await Promise.race(running);
      if (failure) break;
    }
  } finally {
    await Promise.all(running);
  }
  if (failure) throw failure.reason;
}
