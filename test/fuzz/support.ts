/**
 * @file What a hostile case may end in: a value, or one of our errors in one line. Anything else is a bug.
 */
import { isRefereeError } from '../../errors.ts';

/** Calls `work`; undefined for an error of ours that is fit for one line. @throws whatever else it threw */
export function accepted<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    checkRefusal(error);
    return undefined;
  }
}

/** `accepted` for work that takes its time. */
export async function acceptedLater<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    checkRefusal(error);
    return undefined;
  }
}

function checkRefusal(error: unknown): void {
  if (!isRefereeError(error) || error.code === 'Internal') throw error;
  // Lines, and what terminals take for more than text.
  if (/[\p{Cc}\u2028\u2029]/u.test(error.message))
    throw new Error(`not one plain line: ${JSON.stringify(error.message)}`);
  if (error.message.length > 2000) throw new Error(`an endless line: ${error.message.length} characters`);
}
