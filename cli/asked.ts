/**
 * @file What is asked for, the same way for `run` and `submit`: flags of prompts, seeds, pack and method, and the whole
 * input read and checked before any work.
 */
import type { Command } from 'commander';

import { RefereeError } from '../errors.ts';
import { itemsOf } from '../activities/items.ts';
import { ITEMS_MAX } from '../activities/records.ts';
import { rejection } from '../activities/rejections.ts';
import type { OnInvalid, Rejection } from '../activities/rejections.ts';
import type { RunItemRequest } from '../activities/run-contract.ts';
import type { Context } from './context.ts';
import { choiceFlag, parseSeeds, wholeFlag } from './flags.ts';
import { readInput } from './input/read.ts';
import type { Input, InputFormat } from './input/read.ts';
import { methodOverrides } from './method-flags.ts';

export interface AskedFlags extends Record<string, unknown> {
  readonly seed?: number;
  readonly seeds?: readonly number[];
  readonly format?: InputFormat;
  readonly onInvalid?: OnInvalid;
  readonly pack: string;
  readonly store: string;
}

/** Where runs are kept when nobody says. */
export function defaultStore({ environment }: Context): string {
  return environment.store ?? 'runs';
}

export function addAskedFlags(command: Command, context: Context): Command {
  return command
    .addOption(
      wholeFlag('seed', { min: 0, max: Number.MAX_SAFE_INTEGER }, 'of every prompt that names none (default: 0)'),
    )
    .option('--seeds <list>', 'one image per seed, such as 1,2,5-8', (text) => parseSeeds(text, ITEMS_MAX))
    .addOption(choiceFlag('format', ['text', 'jsonl'], 'of the input, if its name does not tell'))
    .addOption(
      choiceFlag(
        'on-invalid',
        ['fail', 'skip'],
        'a line that cannot be searched ends the command, or is listed',
      ).default('fail'),
    )
    .option('--pack <name>', 'name of a pack, or its folder', 'shapes')
    .option('--store <store>', 'folder or URL for results and checkpoints', defaultStore(context));
}

export interface AskedItems {
  readonly input: Input;
  readonly items: readonly RunItemRequest[];
  /** Lines that could not be read. */
  readonly rejected: readonly Rejection[];
}

/** @throws RefereeError InvalidInput naming file, line and field */
export async function readAsked(argument: string, flags: AskedFlags, context: Context): Promise<AskedItems> {
  if (flags.seed !== undefined && flags.seeds !== undefined) {
    throw new RefereeError('InvalidOption', '--seeds: expected either --seed or --seeds, found both');
  }
  if (argument === '-' && context.stdin.isTTY === true)
    context.stderr.write('reading prompts, one a line, until Ctrl-D\n');
  const rejected: Rejection[] = [];
  const isSkipping = flags.onInvalid === 'skip';
  const input = await readInput(argument, {
    stdin: context.stdin,
    format: flags.format,
    onInvalid: isSkipping ? (error) => void rejected.push(rejection(error)) : undefined,
  });
  const items = itemsOf(input.records, {
    seeds: flags.seeds ?? [flags.seed ?? 0],
    overrides: methodOverrides(flags),
    pack: await packFacts(flags.pack),
  });
  return { input, items, rejected };
}

async function packFacts(nameOrFolder: string): Promise<Parameters<typeof itemsOf>[1]['pack']> {
  const { readManifest } = await import('../models/packs/resolve.ts');
  const { manifest } = await readManifest(nameOrFolder);
  return manifest;
}
