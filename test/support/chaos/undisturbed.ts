/**
 * @file The same prompts by `referee run`, in a folder, left alone.
 */
import { readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { Keeper } from '../../../cli/dev/keeper.ts';
import { logEnd, startChild } from '../../../cli/dev/child.ts';
import { readPlaces } from '../../../cli/config.ts';

export interface UndisturbedOptions {
  readonly referee: readonly [string, ...string[]];
  readonly prompts: readonly string[];
  readonly steps: number;
  readonly folder: string;
  /** Of the run's files in `folder`. */
  readonly name: string;
}

/** Resolves with the folder of the run. */
export async function runUndisturbed({ referee, prompts, steps, folder, name }: UndisturbedOptions): Promise<string> {
  const [command, ...first] = referee;
  const input = join(folder, `${name}.txt`);
  const store = join(folder, name);
  const log = join(folder, `${name}.log`);
  await writeFile(input, prompts.map((prompt) => `${prompt}\n`).join(''));
  const words = ['run', input, '--store', store, '--steps', String(steps), '--no-previews', '--quiet'];
  const argv = [...first, ...words, '--provider', 'cpu', '--threads', '1'];
  using keeper = new Keeper();
  const env = { ...readPlaces().variables };
  const isReady = (): Promise<boolean> => Promise.resolve(true);
  const child = await startChild({ role: 'worker', name: 'referee run', command, argv, env, log, isReady }, keeper);
  const { code } = await child.exited;
  if (code !== 0) throw new Error(`referee run has ended with code ${String(code)}: ${await logEnd(log)}`);
  return join(store, readdirSync(store)[0]!);
}
