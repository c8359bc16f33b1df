/**
 * @file Where a server program is looked for: a variable, the path, the cache folder of referee; where none of them has it,
 * it is built into that folder.
 */
import { delimiter, join } from 'node:path';

import { RefereeError, quoted } from '../../errors.ts';
import { buildProgram } from './build-program.ts';
import { isExecutable } from './programs.ts';
import type { Places, Program } from './programs.ts';

/** Path of the program. `say` is told in one line what is being waited for. */
export async function findProgram(program: Program, places: Places, say: (line: string) => void): Promise<string> {
  const { variables, cache } = places;
  const named = variables[program.variable];
  if (named !== undefined && named !== '') {
    if (await isExecutable(named)) return named;
    const message = `${program.variable}: expected an executable file, found ${quoted(named)}`;
    throw new RefereeError('ProgramNotFound', message, { hint: `unset ${program.variable} to have it built` });
  }
  const folders = (variables['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  for (const folder of [...folders, join(cache, 'bin')]) {
    const path = join(folder, program.executable);
    if (await isExecutable(path)) return path;
  }
  return buildProgram(program, places, say);
}
