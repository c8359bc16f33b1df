/**
 * @file `referee run`: prompts in, pictures out, in this process. The same command again goes on where it was.
 */
import type { Command } from 'commander';

import { RefereeError } from '../../errors.ts';
import type { Context } from '../context.ts';
import { choiceFlag, wholeFlag } from '../flags.ts';
import { addAskedFlags, readAsked } from '../asked.ts';
import type { AskedFlags } from '../asked.ts';
import type { Input } from '../input/read.ts';
import { onInterrupt } from '../interrupt.ts';
import { addMethodFlags } from '../method-flags.ts';
import { Progress } from '../progress.ts';
import { PROVIDERS } from '../providers.ts';
import { JSON_VERSION, oneLine, shellQuoted } from '../render.ts';
import type { RunEvent, RunRequest, RunSummary } from '../../activities/run-contract.ts';

interface RunFlags extends AskedFlags {
  readonly lanes?: number;
  readonly checkpointEvery?: number;
  readonly previews?: boolean;
  readonly provider: string;
  readonly threads?: number;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const HELP = `
A file has one prompt a line (.txt, "#" begins a comment) or one record a line (.jsonl):
  {"prompt": "three green circles", "id": "row-17", "seeds": [1, 2], "steps": 100}
Fields of a record are "prompt", "id", "seed" or "seeds", "negative", "tags", "metadata" and every option below in
camelCase. A field of a record is stronger than a flag.

Examples:
  referee run "a red circle to the left of a blue square" --seed 7
  referee run "a green cross" --seeds 1-8 --steps 100
  referee run prompts.jsonl --store /data/runs --json > events.ndjson
  referee run prompts.jsonl --store s3://bucket/runs
  shuf -n 100 prompts.txt | referee run - --method best-of --candidates 8`;

export function configureRun(command: Command, context: Context): void {
  command.argument('<prompt>', 'a prompt in quotes, a .txt or .jsonl file, or - for standard input');
  addAskedFlags(command, context)
    .addOption(wholeFlag('lanes', { min: 1, max: 256 }, 'searches that share the device'))
    .addOption(wholeFlag('checkpoint-every', { min: 1, max: 10_000 }, 'steps between checkpoints'))
    .option('--previews', 'write previews (default: for up to 1000 images)')
    .option('--no-previews', 'write none')
    .addOption(choiceFlag('provider', PROVIDERS, 'what computes').default('auto'))
    .addOption(wholeFlag('threads', { min: 1, max: 1024 }, 'of the device (default: one per core)'))
    .option('--json', 'events on standard output, one JSON document a line')
    .option('--quiet', 'no progress')
    .addHelpText('after', HELP)
    .action(async (argument: string, flags: RunFlags) => run(argument, flags, context));
  addMethodFlags(command);
}

async function run(argument: string, flags: RunFlags, context: Context): Promise<void> {
  const { input, items, rejected } = await readAsked(argument, flags, context);
  const again = commandLine(context.argv, input, flags);
  const startRun = await context.engine.startRun();
  const results: Finished[] = [];
  const summary = await withProgress(flags, context, async ({ onEvent, signal }) => {
    const { pack, store, lanes, checkpointEvery, previews, provider, threads } = flags;
    const given = { lanes, checkpointEvery, previews, threads, cache: context.cache };
    const { onInvalid = 'fail' } = flags;
    const request = { items, pack, store, provider, signal, onInvalid, rejected, ...withoutUndefined(given) };
    return startRun({
      ...request,
      onEvent: (event) => {
        if (isFinished(event) && flags.json !== true) results.push(event);
        onEvent(event);
      },
    });
  });
  if (flags.json === true) printJson(context, { type: 'summary', ...summary });
  else printResults(context, results, summary, again);
  throwUnlessWhole(summary, again, context);
}

type Finished = Extract<RunEvent, { type: 'done' | 'skipped' }>;

function isFinished(event: RunEvent): event is Finished {
  return event.type === 'done' || event.type === 'skipped';
}

interface Listening {
  readonly onEvent: (event: RunEvent) => void;
  readonly signal: AbortSignal;
}

/** Calls `work` with a listener for its events and the signal of Ctrl-C. */
async function withProgress(
  { json = false, quiet = false }: RunFlags,
  context: Context,
  work: (listening: Listening) => Promise<RunSummary>,
): Promise<RunSummary> {
  const { stderr, environment } = context;
  const progress = json || quiet ? undefined : new Progress({ ...environment, stderr });
  const onFirst = (): void => {
    const line = 'saving all searches at their next step; Ctrl-C again stops at once';
    if (progress) progress.say(line);
    else stderr.write(`${line}\n`);
  };
  const interrupt = onInterrupt({ onFirst });
  try {
    const onEvent = (event: RunEvent): void => {
      progress?.onEvent(event);
      if (json) printJson(context, { ...event });
    };
    const summary = await work({ onEvent, signal: interrupt.signal });
    return summary.interrupted ? { ...summary, ...(interrupt.received && { signal: interrupt.received }) } : summary;
  } finally {
    interrupt[Symbol.dispose]();
    progress?.[Symbol.dispose]();
  }
}

function printJson({ stdout }: Context, event: Readonly<Record<string, unknown>>): void {
  stdout.write(`${JSON.stringify({ v: JSON_VERSION, time: new Date().toISOString(), ...event })}\n`);
}

function printResults({ stdout }: Context, results: readonly Finished[], summary: RunSummary, again: string): void {
  const inOrder = [...results].sort((a, b) => a.index - b.index);
  const lines = inOrder.map(({ path, scores }) => {
    const numbers = Object.entries(scores).map(([name, score]) => `${name} ${score.toFixed(3)}`);
    return [oneLine(path), ...numbers].join('  ');
  });
  if (summary.contactSheet !== undefined) lines.push(`contact sheet  ${oneLine(summary.contactSheet)}`);
  if (results.length > 0 && !summary.interrupted) lines.push(`again with     ${again}`);
  stdout.write(lines.map((line) => `${line}\n`).join(''));
}

function throwUnlessWhole(summary: RunSummary & { signal?: string }, again: string, { stderr }: Context): void {
  const { succeeded, failed, skipped, unfinished, interrupted, signal, rejected = 0 } = summary;
  if (rejected > 0) stderr.write(`${rejected} rejected: rejected.jsonl of the run says why\n`);
  if (interrupted) {
    throw new RefereeError('Interrupted', `interrupted: ${succeeded} done, ${unfinished} saved to go on`, {
      hint: `go on with: ${again}`,
      details: { ...(signal !== undefined && { signal }) },
    });
  }
  if (failed > 0) {
    const hint = 'result.json of an item says why it failed';
    throw new RefereeError('ItemsFailed', `${failed} of ${succeeded + failed} images failed`, { hint });
  }
  if (skipped === succeeded) stderr.write('nothing to do: every image is there\n');
}

/** What to type to get the same again: the words of this call, with the seed that it had, without --json and --quiet. */
function commandLine(argv: readonly string[], { isFile }: Input, { seed, seeds }: RunFlags): string {
  const words = argv.filter((word) => word !== '--json' && word !== '--quiet');
  const isSeedSaid = seed !== undefined || seeds !== undefined || isFile;
  const end = words.includes('--') ? words.indexOf('--') : words.length;
  const all = isSeedSaid ? words : words.toSpliced(end, 0, '--seed', '0');
  return ['referee', ...all.map(shellQuoted)].join(' ');
}

type Given = Partial<Pick<RunRequest, 'lanes' | 'checkpointEvery' | 'previews' | 'threads' | 'cache'>>;

function withoutUndefined(fields: Readonly<Record<keyof Given, unknown>>): Given {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
