/**
 * @file `referee pause`, `resume`, `cancel`, `retry`: what a batch is told, and what it made of it.
 */
import type { Command } from 'commander';

import { RefereeError } from '../../errors.ts';
import type { Execution } from '../../remote/batches.ts';
import type { StatusPlaces } from '../../remote/status.ts';
import { asRunId } from '../../store/layout.ts';
import type { Context } from '../context.ts';
import { addRemoteFlags, printDocument, printSubmitted, withRemote } from '../remote.ts';
import type { RemoteFlags } from '../remote.ts';

interface NowFlags extends RemoteFlags {
  readonly now?: boolean;
}

export function configurePause(command: Command, context: Context): void {
  addRemoteFlags(command.argument('<run>', 'id of a run'), context)
    .option('--now', 'running searches are saved at their next step instead of at the end of their chunk')
    .addHelpText('after', '\nExamples:\n  referee pause r0123456789ab\n  referee pause r0123456789ab --now')
    .action(async (run: string, flags: NowFlags) => pause(run, flags, context));
}

export function configureResume(command: Command, context: Context): void {
  addRemoteFlags(command.argument('<run>', 'id of a run'), context)
    .addHelpText(
      'after',
      '\nA paused run goes on. One that was cancelled, or begun by `referee run`, goes on from its checkpoints.\n' +
        '\nExamples:\n  referee resume r0123456789ab && referee watch r0123456789ab',
    )
    .action(async (run: string, flags: RemoteFlags) => {
      await withRemote(flags, context, async (places) => {
        const { resumeRun } = await import('../../remote/submit.ts');
        printSubmitted(await resumeRun(places, run), flags, context);
      });
    });
}

export function configureRetry(command: Command, context: Context): void {
  addRemoteFlags(command.argument('<run>', 'id of a run'), context)
    .addHelpText(
      'after',
      '\nItems that have failed are searched again, from their last checkpoints.\n\nExamples:\n  referee retry r0123456789ab',
    )
    .action(async (run: string, flags: RemoteFlags) => {
      await withRemote(flags, context, async (places) => {
        const { retryRun } = await import('../../remote/submit.ts');
        printSubmitted(await retryRun(places, run), flags, context);
      });
    });
}

export function configureCancel(command: Command, context: Context): void {
  addRemoteFlags(command.argument('<run>', 'id of a run'), context)
    .option('--now', 'at once: steps since the last checkpoints are lost')
    .addHelpText(
      'after',
      '\nRunning searches are saved at their next step, and `referee resume` goes on with them.\n' +
        '\nExamples:\n  referee cancel r0123456789ab\n  referee cancel r0123456789ab --now',
    )
    .action(async (run: string, flags: NowFlags) => cancel(run, flags, context));
}

async function pause(id: string, flags: NowFlags, context: Context): Promise<void> {
  const run = asRunId(id);
  await withRemote(flags, context, async (places) => {
    const { controlBatch } = await import('../../remote/batches.ts');
    const execution = await known(places, run);
    if (execution.state !== 'running') throw hasEnded(run);
    const { state } = await controlBatch(places.remote, run, { paused: true, now: flags.now ?? false });
    if (flags.json === true) printDocument(context, { run, state });
    const when = flags.now === true ? 'at its next step' : 'at the end of its chunk';
    context.stderr.write(`paused: each running search is saved ${when}; go on with: referee resume ${run}\n`);
  });
}

async function cancel(id: string, flags: NowFlags, context: Context): Promise<void> {
  const run = asRunId(id);
  await withRemote(flags, context, async (places) => {
    const { cancelBatch } = await import('../../remote/batches.ts');
    const execution = await known(places, run);
    const isOpen = execution.state === 'running';
    const isNow = flags.now ?? false;
    if (isOpen) await cancelBatch(places.remote, run, { now: isNow });
    if (flags.json === true) printDocument(context, { run, state: isOpen ? 'cancelled' : 'ended', now: isNow });
    const how = isNow ? 'cancelled at once' : 'asked to cancel: running searches are saved first';
    context.stderr.write(
      isOpen ? `${how}; go on with: referee resume ${run}\n` : 'nothing to do: the run has ended already\n',
    );
  });
}

async function known({ remote }: StatusPlaces, run: string): Promise<Execution> {
  const { describeBatch } = await import('../../remote/batches.ts');
  const execution = await describeBatch(remote, run);
  if (execution) return execution;
  throw new RefereeError('NotFound', `run ${run} is not on the server at ${remote.address}`, {
    hint: 'referee status lists the runs of the server',
    details: { run },
  });
}

function hasEnded(run: string): RefereeError {
  return new RefereeError('InvalidInput', `run ${run}: has ended already`, { hint: `referee status ${run}` });
}
