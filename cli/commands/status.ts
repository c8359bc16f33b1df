/**
 * @file `referee status`: how a run is, or which runs the server has.
 */
import type { Command } from 'commander';

import type { RunStatus } from '../../remote/status.ts';
import type { Context } from '../context.ts';
import { duration } from '../progress.ts';
import { addRemoteFlags, printDocument, withRemote } from '../remote.ts';
import type { RemoteFlags } from '../remote.ts';
import { oneLine } from '../render.ts';

const HELP = `
The counts are those of the workflows while a worker answers, otherwise those of the store, and "source" says which. A run
that neither server nor store knows is exit 4.

Examples:
  referee status
  referee status r0123456789ab
  referee status r0123456789ab --json | jq .counts`;

export function configureStatus(command: Command, context: Context): void {
  addRemoteFlags(command.argument('[run]', 'id of a run; without it the runs of the server are listed'), context)
    .addHelpText('after', HELP)
    .action(async (run: string | undefined, flags: RemoteFlags) =>
      run === undefined ? list(flags, context) : status(run, flags, context),
    );
}

async function status(run: string, flags: RemoteFlags, context: Context): Promise<void> {
  await withRemote(flags, context, async (places) => {
    const { runStatus, withRejected } = await import('../../remote/status.ts');
    const found = await withRejected(await runStatus(places, run), places.store);
    if (flags.json === true) printDocument(context, found);
    else
      context.stdout.write(
        statusLines(found)
          .map((line) => `${line}\n`)
          .join(''),
      );
  });
}

async function list(flags: RemoteFlags, context: Context): Promise<void> {
  await withRemote(flags, context, async ({ remote }) => {
    const { listBatches } = await import('../../remote/batches.ts');
    const runs = [];
    for await (const { run, state, startedAt, closedAt } of listBatches(remote)) {
      const isCancelled = state === 'terminated';
      const closed = closedAt && { closedAt: closedAt.toISOString() };
      runs.push({ run, state: isCancelled ? 'cancelled' : state, startedAt: startedAt.toISOString(), ...closed });
    }
    if (flags.json === true) printDocument(context, { runs });
    else if (runs.length === 0) context.stderr.write(`no runs on the server at ${remote.address}\n`);
    else
      for (const { run, state, startedAt } of runs) context.stdout.write(`${run}  ${state.padEnd(9)}  ${startedAt}\n`);
  });
}

/** For people. */
export function statusLines(status: RunStatus): string[] {
  const { run, items, workers, error, notes } = status;
  return [
    `run      ${run}: ${items} ${items === 1 ? 'item' : 'items'}, ${summaryText(status)}`,
    ...(workers
      ? [`workers  ${workers.workflows} for workflows, ${workers.io} for the store, ${workers.device} for searches`]
      : []),
    ...(status.rejected === undefined
      ? []
      : [`rejected ${status.rejected} lines: referee items ${run} --state rejected`]),
    ...(error ? [`error    ${error.code}: ${oneLine(error.message)}; go on with: referee resume ${run}`] : []),
    ...notes.map((note) => `note     ${oneLine(note)}`),
  ];
}

/** State and counts in one line; counts of zero are left out. */
export function summaryText({ state, counts, rate, secondsLeft }: RunStatus): string {
  const parts = Object.entries(counts).filter(([, count]) => count > 0);
  const pace =
    rate === undefined || secondsLeft === undefined
      ? []
      : [`${(60 * rate).toPrecision(2)} a minute`, `${duration(secondsLeft)} left`];
  return [state, ...parts.map(([name, count]) => `${count} ${name}`), ...(state === 'running' ? pace : [])].join(', ');
}
