/**
 * @file `referee submit`: prompts in, a batch on the server; workers make the pictures.
 */
import type { Command } from 'commander';

import type { BatchSettings } from '../../remote/batches.ts';
import { addAskedFlags, readAsked } from '../asked.ts';
import type { AskedFlags } from '../asked.ts';
import type { Context } from '../context.ts';
import { invalidFlag, wholeFlag } from '../flags.ts';
import { addMethodFlags } from '../method-flags.ts';
import { addServerFlags, printSubmitted, withRemote } from '../remote.ts';
import type { RemoteFlags } from '../remote.ts';
import { watchRun } from './watch.ts';

interface SubmitFlags extends AskedFlags, RemoteFlags {
  readonly store: string;
  readonly priority?: number;
  readonly window?: number;
  readonly chunkSeconds?: number;
  readonly checkpointEvery?: number;
  readonly previews?: boolean;
  readonly class?: string;
  readonly watch?: boolean;
}

const HELP = `
Prints the id of the run alone on standard output, when a worker has taken the run or the server keeps it for one. The
same prompts again attach to the running batch, and do what is missing after its end. The store must be one that the
workers see too.

Examples:
  referee submit prompts.jsonl --store s3://bucket/runs
  run=$(referee submit prompts.txt --seeds 1-4) && referee watch $run
  referee submit prompts.jsonl --on-invalid skip --priority 4 --watch`;

export function configureSubmit(command: Command, context: Context): void {
  command.argument('<file>', 'a .txt or .jsonl file, a prompt in quotes, or - for standard input');
  addServerFlags(addAskedFlags(command, context))
    .addOption(wholeFlag('priority', { min: 2, max: 5 }, '2 before others, 5 after them (default: 3)'))
    .addOption(wholeFlag('window', { min: 1, max: 5000 }, 'items that are open at one time (default: 500)'))
    .addOption(wholeFlag('chunk-seconds', { min: 1, max: 3600 }, 'of one chunk of a search (default: 300)'))
    .addOption(wholeFlag('checkpoint-every', { min: 1, max: 10_000 }, 'steps between checkpoints (default: 16)'))
    .option('--class <name>', 'class of devices whose workers take it', checkedClass)
    .option('--previews', 'write previews (default: for up to 1000 images)')
    .option('--no-previews', 'write none')
    .option('--watch', 'stay, and show how it goes')
    .option('--json', 'one JSON document on standard output')
    .addHelpText('after', HELP)
    .action(async (argument: string, flags: SubmitFlags) => submit(argument, flags, context));
  addMethodFlags(command);
}

function checkedClass(text: string): string {
  if (/^[a-z0-9-]{1,32}$/.test(text)) return text;
  throw invalidFlag('class', '1 to 32 of a-z, 0-9 and "-"', text);
}

async function submit(argument: string, flags: SubmitFlags, context: Context): Promise<void> {
  const { items, rejected } = await readAsked(argument, flags, context);
  const { pack, onInvalid = 'fail', priority, window, chunkSeconds, checkpointEvery, previews } = flags;
  const settings: BatchSettings = {
    ...{ priority, window, chunkSeconds, checkpointEvery, previews },
    deviceClass: flags.class,
  };
  const { run } = await withRemote(flags, context, async (places) => {
    const { submitRun } = await import('../../remote/submit.ts');
    const submitted = await submitRun(places, { items, pack, onInvalid, rejected, settings });
    printSubmitted(submitted, flags, context);
    return submitted;
  });
  if (flags.watch === true) await watchRun(run, flags, context);
}
