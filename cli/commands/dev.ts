/**
 * @file `referee dev`: everything that batches need, on this machine, in one terminal.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';

import { readPlaces } from '../config.ts';
import type { Context } from '../context.ts';
import { BUCKET } from '../dev/servers.ts';
import { refereeWorker, startSetup } from '../dev/setup.ts';
import type { Setup, SetupProcess } from '../dev/setup.ts';
import { wholeFlag } from '../flags.ts';
import { onInterrupt } from '../interrupt.ts';
import { JSON_VERSION, oneLine, shellQuoted } from '../render.ts';

interface DevFlags {
  readonly workers: number;
  readonly dir: string;
  readonly pack: string;
  readonly lanes?: number;
  readonly json?: boolean;
}

const HELP = `
Data stays in the folder; a second start goes on with it, under the same addresses where they are free. A process that
dies is started again. Ctrl-C lets workers save their searches and stops everything, a second one stops at once.

The server programs are looked for in TEMPORAL_CLI and VERSITYGW, on the path and in referee's cache folder, and built once
where they are not found.

Examples:
  referee dev
  referee dev --workers 3 --dir /data/referee-dev --pack shapes
  referee dev --json | head -1`;

export function configureDev(command: Command, context: Context): void {
  command
    .addOption(wholeFlag('workers', { min: 0, max: 64 }, 'processes that search').default(1))
    .option('--dir <folder>', 'where servers and workers keep everything', 'referee-dev')
    .option('--pack <name>', 'of the workers: name of a pack, or its folder', 'shapes')
    .addOption(wholeFlag('lanes', { min: 1, max: 256 }, 'of each worker: searches that share its device'))
    .option('--json', 'one line when all is ready, and one for each process that is started')
    .addHelpText('after', HELP)
    .action(async (flags: DevFlags) => dev(flags, context));
}

async function dev(flags: DevFlags, context: Context): Promise<void> {
  const { stderr } = context;
  const places = readPlaces();
  const say = (line: string): void => void stderr.write(`${oneLine(line)}\n`);
  const onFirst = (): void => say('stopping: workers save their searches; Ctrl-C again stops at once');
  using interrupt = onInterrupt({ onFirst });
  // The same program that runs now, from sources or compiled.
  const referee = [process.execPath, ...process.execArgv, process.argv[1]!];
  const argv = ['--pack', flags.pack, ...(flags.lanes === undefined ? [] : ['--lanes', String(flags.lanes)])];
  // They share the cores of one machine. A picture does not depend on the number of threads.
  argv.push('--threads', String(Math.max(1, Math.floor(availableParallelism() / Math.max(1, flags.workers)))));
  await using setup = await startSetup({
    folder: flags.dir,
    workers: flags.workers,
    workerFor: (number, env, folder) =>
      refereeWorker(number, env, folder, { referee, argv, variables: places.variables }),
    places,
    say,
    onProcess: (started) => printProcess(started, flags, context),
    signal: interrupt.signal,
  });
  if (interrupt.signal.aborted) return;
  printReady(setup, flags, context);
  // A timer keeps the process when a server's exit is the next thing that could happen.
  const timer = setInterval(() => undefined, 60_000);
  await new Promise((resolve) => interrupt.signal.addEventListener('abort', resolve, { once: true }));
  clearInterval(timer);
}

function printProcess({ role, name, pid }: SetupProcess, { json }: DevFlags, context: Context): void {
  if (json === true) printJson({ type: 'process', role, name, pid }, context);
  else context.stderr.write(`${name} started (pid ${pid})\n`);
}

function printReady(setup: Setup, { json, workers, pack }: DevFlags, context: Context): void {
  const { env, folder, processes, uiPort } = setup;
  if (json === true) {
    printJson({ type: 'ready', env, processes: processes.map(({ role, pid }) => ({ role, pid })) }, context);
    return;
  }
  const lines = [
    `ready in ${folder}`,
    `  Temporal   ${env.TEMPORAL_ADDRESS}, pages at http://127.0.0.1:${uiPort}`,
    `  S3         ${env.AWS_ENDPOINT_URL_S3}, objects in ${join(folder, 's3', BUCKET)}`,
    `  workers    ${workers} of pack ${oneLine(pack)}, logs in ${join(folder, 'worker-*.log')}`,
    '',
    'In another terminal:',
    ...Object.entries(env).map(([name, value]) => `  export ${name}=${shellQuoted(value)}`),
    '',
    'Ctrl-C stops all of it; the data stays.',
  ];
  context.stdout.write(lines.map((line) => `${line}\n`).join(''));
}

function printJson(event: Readonly<Record<string, unknown>>, { stdout }: Context): void {
  stdout.write(`${JSON.stringify({ v: JSON_VERSION, time: new Date().toISOString(), ...event })}\n`);
}
