/**
 * @file This process as the context of a command, and the command's end as its exit code.
 */
import { readFileSync } from 'node:fs';

import { runCommandLine } from './command-line.ts';
import { readEnvironment, readPlaces } from './config.ts';
import { EXIT } from './exit-codes.ts';
import type { Engine } from './context.ts';

/** Runs the command that the process was called with, and ends the process. */
export async function runProcess(engine: Engine): Promise<void> {
  // A reader that goes away (`| head`) ends the program as it ends others. Every write to the store is whole or absent.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? EXIT.pipeClosed : EXIT.unexpected);
  });
  process.stderr.on('error', () => undefined);
  const { stdin, stdout, stderr } = process;
  const environment = readEnvironment(process);
  const argv = process.argv.slice(2);
  const { cache } = readPlaces();
  const version = packageVersion();
  const code = await runCommandLine({ argv, stdin, stdout, stderr, environment, engine, cache, version });
  // Output that waits in a pipe first; then out, whatever is still open.
  stdout.write('', () => process.exit(code));
}

/** Of the package.json beside `cli/`, or beside `dist/` when this file is the compiled one. */
function packageVersion(): string {
  for (const path of ['../package.json', '../../package.json']) {
    try {
      return (JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as { version: string }).version;
    } catch {
      continue; // the other one
    }
  }
  return 'unknown';
}
