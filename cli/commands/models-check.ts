/**
 * @file `referee models check`: builds the functions of a checkpoint, runs them, and compares outputs and gradients with
 * the reference numbers in the same folder.
 */
import type { Command } from 'commander';

import type { CheckReport } from '../../activities/models-check.ts';
import { RefereeError } from '../../errors.ts';
import type { Context } from '../context.ts';
import { choiceFlag, toleranceFlag, wholeFlag } from '../flags.ts';
import { JSON_VERSION, ReportedError, oneLine } from '../render.ts';
import { PROVIDERS } from '../providers.ts';
import type { Provider } from '../providers.ts';

interface CheckFlags {
  readonly json?: boolean;
  readonly rtol?: number;
  readonly atol?: number;
  readonly weights?: string;
  readonly provider: Provider;
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
    .addOption(
      toleranceFlag('rtol', 'error allowed over the largest magnitude of a tensor (default: 2e-5, gradients 1e-4)'),
    )
    .addOption(toleranceFlag('atol', 'error allowed besides (default: 1e-7)'))
    .option('--weights <path>', 'file or folder of the weights, where they are not in <folder>')
    .addOption(choiceFlag('provider', PROVIDERS, 'what computes').default('cpu'))
    .addOption(wholeFlag('threads', { min: 1, max: 1024 }, 'of the device (default: one per core)'))
    .option('--json', 'one JSON document on standard output')
    .addHelpText('after', HELP)
    .action(async (folder: string, { json = false, provider, threads, ...options }: CheckFlags) => {
      const checkFolder = await context.engine.checkFolder();
      const report = await checkFolder(folder, {
        ...options,
        device: { provider, ...(threads !== undefined && { threads }) },
      });
      context.stdout.write(json ? `${JSON.stringify({ v: JSON_VERSION, ...report })}\n` : table(report));
      throwIfOutside(report);
    });
}

/** A line per tensor, columns aligned. */
function table({ model, weights, provider, rows }: CheckReport): string {
  const header = ['function', 'tensor', 'absolute', 'relative', 'allowed', ''];
  const body = rows.map((row) => [
    row.function,
    row.tensor,
    exponent(row.maxAbs),
    exponent(row.maxRel),
    exponent(row.tolerance),
    row.ok ? 'ok' : 'OUTSIDE',
  ]);
  const widths = header.map((_, column) => Math.max(...[header, ...body].map((row) => row[column]!.length)));
  const lines = [header, ...body].map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
  return `${oneLine(`${model} of ${weights} on ${provider}`)}\n${lines.map((line) => `${line}\n`).join('')}`;
}

function exponent(value: number): string {
  return value.toExponential(2);
}

function throwIfOutside({ folder, rows }: CheckReport): void {
  const outside = rows.filter(({ ok }) => !ok);
  if (outside.length === 0) return;
  const message = `${folder}: ${outside.length} of ${rows.length} tensors are outside of their tolerance`;
  throw new ReportedError(new RefereeError('OutOfTolerance', message));
}
