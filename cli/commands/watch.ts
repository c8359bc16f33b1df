/**
 * @file `referee watch`: how a run goes until its end. Stopping to watch does not stop the run; a server that goes away
 * for a while is waited for.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import type { Command } from 'commander';

import { isRefereeError, RefereeError } from '../../errors.ts';
import type { RunStatus, StatusPlaces } from '../../remote/status.ts';
import type { Context } from '../context.ts';
import { onInterrupt } from '../interrupt.ts';
import { addRemoteFlags, printDocument, withRemote } from '../remote.ts';
import type { RemoteFlags } from '../remote.ts';
import { summaryText } from './status.ts';

const POLL_MS = 1000;

const HELP = `
Lines on standard error, or with --json one event a line on standard output. The exit code is that of the run: 0 all items
done, 3 some failed, 130 cancelled. Ctrl-C stops watching only.

Examples:
  referee watch r0123456789ab
  referee watch r0123456789ab --json | jq -c .counts`;

export function configureWatch(command: Command, context: Context): void {
  addRemoteFlags(command.argument('<run>', 'id of a run'), context)
    .addHelpText('after', HELP)
    .action(async (run: string, flags: RemoteFlags) => watchRun(run, flags, context));
}

/** @throws RefereeError ItemsFailed or Interrupted by the end of the run, and Interrupted by Ctrl-C */
export async function watchRun(run: string, flags: RemoteFlags, context: Context): Promise<void> {
  using interrupt = onInterrupt({ onFirst: () => undefined });
  const last = await withRemote(flags, context, (places) => follow(run, { places, flags, context, interrupt }));
  if (last === undefined) {
    throw new RefereeError('Interrupted', `stopped watching; run ${run} goes on`, {
      hint: `referee watch ${run} watches it again, referee cancel ${run} cancels it`,
      details: { ...(interrupt.received && { signal: interrupt.received }) },
    });
  }
  throwByEnd(last);
}

interface Watching {
  readonly places: StatusPlaces;
  readonly flags: RemoteFlags;
  readonly context: Context;
  readonly interrupt: { readonly signal: AbortSignal };
}

/** The last status; undefined when watching was stopped. */
async function follow(run: string, { places, flags, context, interrupt }: Watching): Promise<RunStatus | undefined> {
  const { runStatus } = await import('../../remote/status.ts');
  const { signal } = interrupt;
  let shown = '';
  let isAway = false;
  while (!signal.aborted) {
    let status: RunStatus | undefined;
    try {
      status = await runStatus(places, run);
      if (isAway) context.stderr.write('the server is there again\n');
      isAway = false;
    } catch (error) {
      if (!isRefereeError(error) || error.code !== 'ServerUnavailable') throw error;
      if (!isAway) context.stderr.write(`${error.message}: waiting for it\n`);
      isAway = true;
    }
    if (status) {
      shown = show(status, { shown, flags, context });
      if (status.state !== 'running' && status.state !== 'paused') return status;
    }
    await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
  }
  return undefined;
}

/** Says what has changed. Returns what was said. */
function show(
  status: RunStatus,
  { shown, flags, context }: Pick<Watching, 'flags' | 'context'> & { readonly shown: string },
): string {
  const { state, counts, notes } = status;
  const now = JSON.stringify([state, counts, notes]);
  if (now === shown) return shown;
  if (flags.json === true) printDocument(context, { time: new Date().toISOString(), type: 'status', ...status });
  else context.stderr.write(`${[summaryText(status), ...notes].join('; ')}\n`);
  return now;
}

function throwByEnd({ run, state, items, counts, error }: RunStatus): void {
  if (state === 'cancelled') {
    throw new RefereeError('Interrupted', `run ${run} was cancelled: ${counts.done} of ${items} done`, {
      hint: `go on with: referee resume ${run}`,
    });
  }
  if (state === 'failed') {
    const why = error ? `${error.message} (${error.code})` : 'it ended before its items did';
    throw new RefereeError('ItemsFailed', `run ${run} failed: ${why}; ${counts.done} of ${items} done`, {
      hint: `go on with: referee resume ${run}`,
    });
  }
  if (counts.failed > 0) {
    throw new RefereeError('ItemsFailed', `${counts.failed} of ${items} images failed`, {
      hint: `referee items ${run} --state failed says why`,
    });
  }
}
