/**
 * @file Before any integration test: both server programs are found, or built once, so that no test's time is spent on it.
 * Where that cannot be done the suite fails with the one line that says what to install.
 */
import { findProgram } from '../../../cli/dev/find-program.ts';
import { PROGRAMS } from '../../../cli/dev/programs.ts';
import { readPlaces } from '../../../cli/config.ts';

export default async function ensurePrograms(): Promise<void> {
  for (const program of Object.values(PROGRAMS)) {
    await findProgram(program, readPlaces(), (line) => process.stderr.write(`${line}\n`));
  }
}
