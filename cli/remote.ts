/**
 * @file What the commands over batches share: flags that say where server and store are, and both of them opened.
 */
import type { Command } from 'commander';

import { openStore } from '../store/open-store.ts';
import type { Remote } from '../remote/connection.ts';
import type { StatusPlaces } from '../remote/status.ts';
import type { Submitted } from '../remote/submit.ts';
import { defaultStore } from './asked.ts';
import type { Context } from './context.ts';
import { JSON_VERSION, oneLine } from './render.ts';

export interface RemoteFlags {
  readonly store: string;
  readonly address?: string;
  readonly namespace?: string;
  readonly temporalProfile?: string;
  readonly json?: boolean;
}

export function addServerFlags(command: Command): Command {
  return command
    .option('--address <host:port>', 'of the Temporal server (default: TEMPORAL_ADDRESS, or 127.0.0.1:7233)')
    .option('--namespace <name>', 'of the server (default: TEMPORAL_NAMESPACE, or default)')
    .option('--temporal-profile <name>', 'of temporal.toml');
}

export function addRemoteFlags(command: Command, context: Context): Command {
  return addServerFlags(
    command.option('--store <store>', 'folder or URL of the runs (default: REFEREE_STORE)', defaultStore(context)),
  ).option('--json', 'one JSON document on standard output');
}

/** The server alone. @throws RefereeError ServerUnavailable within some seconds */
export async function openServer(
  { address, namespace, temporalProfile: profile }: RemoteFlags,
  { environment: { temporal } }: Context,
): Promise<Remote> {
  const openRemote = await loadRemote();
  return openRemote({ address, namespace, profile, ...(temporal && { env: temporal }) });
}

/** Calls `work` with the server and the store. @throws RefereeError ServerUnavailable within some seconds */
export async function withRemote<T>(
  flags: RemoteFlags,
  context: Context,
  work: (places: StatusPlaces) => Promise<T>,
): Promise<T> {
  const opened = openStore(flags.store);
  await using remote = await openServer(flags, context);
  return await work({ remote, store: opened });
}

export function printDocument({ stdout }: Context, document: object): void {
  stdout.write(`${JSON.stringify({ v: JSON_VERSION, ...document })}\n`);
}

/** What a command did about a run: the run's id for programs, the rest for people. */
export function printSubmitted(submitted: Submitted, { json = false }: RemoteFlags, context: Context): void {
  if (json) printDocument(context, submitted);
  else context.stdout.write(`${submitted.run}\n`);
  if (submitted.rejected > 0) {
    context.stderr.write(`${submitted.rejected} rejected: rejected.jsonl of the run says why\n`);
  }
  for (const note of submitted.notes) context.stderr.write(`${oneLine(note)}\n`);
}

/** Apart: inside a function with `await using` TypeScript 6.0 leaves the extension of a dynamic import as it is. */
const loadRemote = async () => (await import('../remote/connection.ts')).openRemote;
