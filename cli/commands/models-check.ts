/**
 * @file `referee models check`: builds the functions of a checkpoint, runs them, and compares outputs and gradients with
 * the reference numbers in the same folder.
 */
import type { Command } from 'commander';

import { RefereeError } from '../../errors.ts';
import type { Context } from '../context.ts';
import { choiceFlag, toleranceFlag, wholeFlag } from '../flags.ts';
import { JSON_VERSION } from '../render.ts';
import type { ModelsCheckReport } from '../run-contract.ts';
import { PROVIDERS } from './run.ts';

interface CheckFlags {
  readonly json?: boolean;
  readonly rtol?: number;
  readonly atol?: number;
  readonly provider: string;
  readonly threads?: number;
}

const HELP = `
The folder holds config.json, the weights (*.safetensors) and reference-*.safetensors. Exit code 0: all inside the
tolerance; 3: some outside; 2: the folder cannot be read.

Examples:
  referee models check test/fixtures/autoencoder-kl
  referee models check ./my-unet --rtol 1e-3 --json`;

export function configureModels(command: Command, context: Context): void {
  command
    .command('check')
    .description('compare outputs and gradients of a checkpoint with reference numbers')
    .argument('<folder>', 'with config.json, weights and reference-*.safetensors')
    .addOption(toleranceFlag('rtol', 'largest error relative to the largest value of a tensor'))
    .addOption(toleranceFlag('atol', 'largest absolute error'))
    .addOption(choiceFlag('provider', PROVIDERS, 'what computes').default('cpu'))
    .addOption(wholeFlag('threads', { min: 1, max: 1024 }, 'of the device (default: one per core)'))
    .option('--json', 'one JSON document on standard output')
    .addHelpText('after', HELP)
    .action(async (folder: string, { json = false, ...options }: CheckFlags) => {
      const checkModels = await context.engine.checkModels();
      const report = await checkModels(folder, options);
      context.stdout.write(json ? `${JSON.stringify({ v: JSON_VERSION, ...report })}\n` : table(report));
      throwIfOutside(report);
    });
}

/** A line per tensor, columns aligned. */
function table({ functions }: ModelsCheckReport): string {
  const rows = functions.flatMap(({ file, name, tensors }) =>
    tensors.map((t) => [
      file,
      name,
      `${t.kind} ${t.name}`,
      exponent(t.maxAbsolute),
      exponent(t.maxRelative),
      t.ok ? 'ok' : 'OUTSIDE',
    ]),
  );
  const all = [['file', 'function', 'tensor', 'absolute', 'relative', ''], ...rows];
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  return all
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column]!))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

function exponent(value: number): string {
  return value.toExponential(2);
}

function throwIfOutside({ folder, functions, rtol, atol }: ModelsCheckReport): void {
  const tensors = functions.flatMap((f) => f.tensors);
  const outside = tensors.filter(({ ok }) => !ok);
  if (outside.length === 0) return;
  const tolerance = `rtol ${rtol} and atol ${atol}`;
  throw new RefereeError(
    'OutOfTolerance',
    `${folder}: ${outside.length} of ${tensors.length} tensors outside of ${tolerance}`,
  );
}
