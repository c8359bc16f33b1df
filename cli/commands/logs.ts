/**
 * @file `referee logs`: what happened to the items of a run, wherever they were worked on, in the order of time.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import type { Command } from 'commander';

import { isRefereeError, RefereeError } from '../../errors.ts';
import type { Remote } from '../../remote/connection.ts';
import { asItemId, asRunId } from '../../store/layout.ts';
import type { ItemId, RunId } from '../../store/layout.ts';
import { LOG_LEVELS } from '../../store/log.ts';
import type { LogLevel, LogLine } from '../../store/log.ts';
import type { ObjectStore } from '../../store/object-store.ts';
import { openStore } from '../../store/open-store.ts';
import type { Context } from '../context.ts';
import { choiceFlag, invalidFlag } from '../flags.ts';
import { onInterrupt } from '../interrupt.ts';
import { addRemoteFlags, openServer } from '../remote.ts';
import type { RemoteFlags } from '../remote.ts';
import { oneLine } from '../render.ts';

interface LogsFlags extends RemoteFlags {
  readonly follow?: boolean;
  readonly since?: Date;
  readonly level: LogLevel;
}

const POLL_MS = 2000;
/** Looks for the last lines of attempts that may be dead, when everything has a result and no server says that it is over. */
const LAST_LOOKS = 3;

const HELP = `
A line per event: start, resume, checkpoint, leave (saved, to go on later or elsewhere), given-up, error (tried again),
failed, done, and passed-over for a damaged checkpoint. They are kept in the store by whoever works on an item, and are
there after its worker is gone; the newest may lack the time since its last checkpoint. No prompt is in them.

--follow goes on until the run is over: as the server says, or, where no server knows the run, when every item has a
result. It then looks once more. Ctrl-C stops following, not the run.

Examples:
  referee logs r0123456789ab --level warn
  referee logs r0123456789ab i0123456789abcdef0123 --follow
  referee logs r0123456789ab --since 10m --json | jq -r 'select(.event == "error") | .code'`;

export function configureLogs(command: Command, context: Context): void {
  command.argument('<run>', 'id of a run').argument('[item]', 'id of one of its items');
  addRemoteFlags(command, context)
    .option('--follow', 'new lines as they come, until the run is over')
    .option('--since <time>', 'lines from then on: 90s, 10m, 2h, 1d ago, or a time such as 2026-01-31T12:00Z', sinceOf)
    .addOption(choiceFlag('level', LOG_LEVELS, 'lines of this level and above').default('debug'))
    .addHelpText('after', HELP)
    .action(async (run: string, item: string | undefined, flags: LogsFlags) => logs({ run, item }, flags, context));
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

function sinceOf(text: string): Date {
  const [, amount, unit] = /^(\d{1,7})([smhd])$/.exec(text) ?? [];
  if (amount !== undefined) return new Date(Date.now() - Number(amount) * UNITS[unit!]! * 1000);
  const time = /^\d{4}-\d\d-\d\d(T|$)/.test(text) ? new Date(text) : new Date(Number.NaN);
  if (!Number.isNaN(time.getTime())) return time;
  throw invalidFlag('since', 'an age such as 90s, 10m, 2h, 1d, or a time such as 2026-01-31T12:00Z', text);
}

async function logs(
  named: { run: string; item: string | undefined },
  flags: LogsFlags,
  context: Context,
): Promise<void> {
  const run = asRunId(named.run);
  const item = named.item === undefined ? undefined : asItemId(named.item);
  const store = openStore(flags.store);
  await checkKnown(store, run, item);
  const { LogReader } = await import('../../activities/log-reader.ts');
  const { level, since, json = false } = flags;
  const reader = new LogReader({
    ...{ store, run, item, level, since },
    onDamage: (key, damage) => context.stderr.write(`${oneLine(`${store.locate(key)}: ${damage}`)}\n`),
  });
  const look = async (): Promise<void> => {
    const lines = await reader.look();
    context.stdout.write(lines.map((line) => `${json ? JSON.stringify(line) : lineText(line)}\n`).join(''));
  };
  await look();
  if (flags.follow === true) await follow({ run, item, store, look, isWhole: () => reader.isWhole }, flags, context);
}

interface Following {
  readonly run: RunId;
  readonly item: ItemId | undefined;
  readonly store: ObjectStore;
  readonly look: () => Promise<void>;
  readonly isWhole: () => boolean;
}

/** @throws RefereeError Interrupted by Ctrl-C */
async function follow(of: Following, flags: LogsFlags, context: Context): Promise<void> {
  using interrupt = onInterrupt({ onFirst: () => undefined });
  const { run, look } = of;
  const { signal } = interrupt;
  const end = await openEnd(of, flags, context);
  try {
    while (!signal.aborted) {
      // Asked before the look: what was written before the end is seen by the look after it.
      const isOver = await end.isReached();
      await look();
      if (isOver) return;
      await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    await end.close();
  }
  throw new RefereeError('Interrupted', `stopped following; run ${run} goes on`, {
    hint: `referee cancel ${run} cancels it`,
    details: { ...(interrupt.received && { signal: interrupt.received }) },
  });
}

interface RunEnd {
  readonly isReached: () => Promise<boolean>;
  readonly close: () => Promise<void>;
}

/** Of the server where there is one; it is said when there is none. */
async function openEnd({ run, item, store, isWhole }: Following, flags: LogsFlags, context: Context): Promise<RunEnd> {
  const { endByServer, ResultsEnd } = await import('../../remote/run-end.ts');
  const results = new ResultsEnd(store, run, item);
  let remote: Remote | undefined;
  try {
    remote = await openServer(flags, context);
  } catch (error) {
    if (!isRefereeError(error) || error.code !== 'ServerUnavailable') throw error;
    context.stderr.write(`${oneLine(error.message)}: follows until every item has a result\n`);
  }
  let last = 0;
  return {
    isReached: async () => {
      const said = remote ? await endByServer(remote, run) : 'unknown';
      if (said !== 'unknown')
        return said === 'closed' || (item !== undefined && isWhole() && (await results.isReached()));
      // A result is there a moment before the line that tells of it.
      if (!(await results.isReached())) return false;
      return isWhole() || ++last > LAST_LOOKS;
    },
    close: async () => {
      await remote?.[Symbol.asyncDispose]();
    },
  };
}

/** @throws RefereeError NotFound */
async function checkKnown(store: ObjectStore, run: RunId, item: ItemId | undefined): Promise<void> {
  const { readPrompts, readRun } = await import('../../store/run.ts');
  if (!(await readRun(store, run))) {
    throw new RefereeError('NotFound', `run ${run} is not in the store ${store.root}`, {
      hint: '--store names another store',
      details: { run },
    });
  }
  if (item === undefined) return;
  for await (const row of readPrompts(store, run)) if (row.item === item) return;
  throw new RefereeError('NotFound', `run ${run} has no item ${item}`, {
    hint: `referee items ${run} lists them`,
    details: { run, item },
  });
}

/** For people. */
function lineText({ time, level, item, attempt, worker, ...line }: LogLine): string {
  const who = attempt === undefined ? worker : `#${attempt} ${worker}`;
  return oneLine(`${time} ${level.padEnd(5)} ${item} ${who}  ${eventText(line)}`);
}

function eventText({
  event,
  step,
  steps,
  seconds,
  code,
  reason,
}: Omit<LogLine, 'time' | 'level' | 'item' | 'worker'>): string {
  const parts = [
    event,
    ...(step === undefined ? [] : [steps === undefined ? `step ${step}` : `step ${step} of ${steps}`]),
    ...(code === undefined ? [] : [code]),
    ...(reason === undefined ? [] : [reason]),
    ...(seconds === undefined ? [] : [`${seconds.toFixed(1)} s`]),
  ];
  return parts.join('  ');
}
