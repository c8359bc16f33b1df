/**
 * @file Around every activity: its error becomes a failure that a workflow can judge, and is told to the log and counted.
 */
import type { Context } from '@temporalio/activity';
import { TemporalFailure } from '@temporalio/common';
import type { ActivityInboundCallsInterceptor } from '@temporalio/worker';

import { quoted, RefereeError } from '../errors.ts';
import type { FailurePlace } from './failures.ts';
import { toFailure } from './failures.ts';

/** `place` has ids only; `error` is as it was thrown. */
export type OnActivityError = (error: unknown, place: FailurePlace & { activity: string; attempt: number }) => void;

export function failuresInterceptor(context: Context, onError?: OnActivityError): ActivityInboundCallsInterceptor {
  return {
    async execute(input, next) {
      try {
        checkVersion(input.args[0]);
        return await next(input);
      } catch (error) {
        if (error instanceof TemporalFailure) throw error;
        const place = placeOf(input.args[0]);
        onError?.(error, { ...place, activity: context.info.activityType, attempt: context.info.attempt });
        throw toFailure(error, place);
      }
    },
  };
}

/** Of the arguments that this version of the activities understands. */
const VERSION = 1;

/** Arguments of a later contract are for later workers: the attempt is repeated until one of them has it. */
function checkVersion(input: unknown): void {
  const v: unknown = typeof input === 'object' && input !== null ? Reflect.get(input, 'v') : undefined;
  if (v === VERSION) return;
  throw new RefereeError('OtherVersion', `arguments of an activity: expected version ${VERSION}, found ${quoted(v)}`);
}

function placeOf(input: unknown): FailurePlace {
  if (typeof input !== 'object' || input === null) return {};
  const { run, item } = input as Record<string, unknown>;
  return { ...(typeof run === 'string' && { run }), ...(typeof item === 'string' && { item }) };
}
