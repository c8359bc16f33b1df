/**
 * @file What searches tell, as everybody hears it.
 */
import { RefereeError } from '../errors.ts';
import type { OptimiseEvent } from './optimise.ts';
import type { RunEvent } from './run-contract.ts';

/** As plain data. */
export function toRunEvent(event: OptimiseEvent): RunEvent {
  if (event.type !== 'preview') return event;
  const { picture: _, path = '', ...rest } = event;
  return { ...rest, path };
}

/** The error that an item failed with. */
export function toError({ code, message, hint }: Extract<RunEvent, { type: 'failed' }>['error']): RefereeError {
  return new RefereeError(code as RefereeError['code'], message, hint === undefined ? {} : { hint });
}
