/**
 * @file The same call again, after a pause that doubles and is partly random, so that many clients of a server that comes
 * back do not all call at once. Limited: who calls decides what a failure that stays means.
 */

export interface RetryPolicy {
  /** Calls at most, the first included. */
  readonly attempts: number;
  /** Before the second call; doubled for each further one. */
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
}

/** About ten seconds in all: a server that is started again is waited for, one that is gone is told of. */
export const DEFAULT_RETRIES: RetryPolicy = { attempts: 9, firstPauseMs: 60, longestPauseMs: 4000 };

export interface Retrying {
  readonly policy: RetryPolicy;
  /** Whether the same call may succeed later. */
  readonly isTransient: (error: unknown) => boolean;
  /** Ends a pause at once; its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
}

/** @throws what the last call threw */
export async function withRetries<T>(
  call: (attempt: number) => Promise<T>,
  { policy, isTransient, signal }: Retrying,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted();
    try {
      return await call(attempt);
    } catch (error) {
      if (signal?.aborted === true || attempt >= policy.attempts || !isTransient(error)) throw error;
    }
    await pause(pauseMs(policy, attempt), signal);
  }
}

/** Between half and all of the doubled pause. */
function pauseMs({ firstPauseMs, longestPauseMs }: RetryPolicy, attempt: number): number {
  return Math.min(longestPauseMs, firstPauseMs * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2);
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
