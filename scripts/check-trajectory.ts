/**
 * @file Replays recorded searches and prints how far ours are from them.
 * Usage: npm run check:trajectory -- <folder> [--provider cpu] [--json]
 */
import { parseArgs } from 'node:util';

import { findRecordings, replay } from '../activities/trajectory/replay.ts';
import type { Compared } from '../activities/trajectory/comparison.ts';
import { PROVIDERS } from '../cli/providers.ts';
import { isRefereeError, quoted, RefereeError } from '../errors.ts';
import { openDevice } from '../models/runtime/node-device.ts';

const USAGE =
  'usage: npm run check:trajectory -- <folder with reference-trajectory-*.safetensors> [--provider <name>] [--json]\n';

try {
  process.exitCode = await main();
} catch (error) {
  if (!isRefereeError(error)) throw error;
  process.stderr.write(`error: ${error.message}\n`);
  process.exitCode = 2;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { json: { type: 'boolean', default: false }, provider: { type: 'string', default: 'cpu' } },
    allowPositionals: true,
  });
  const [folder] = positionals;
  if (folder === undefined || positionals.length !== 1) {
    process.stderr.write(USAGE);
    return 2;
  }
  const names = await findRecordings(folder);
  const device = await openDevice({ provider: providerOf(values.provider), threads: 1 });
  try {
    let bad = 0;
    let count = 0;
    for (const name of names) {
      const { compared, options } = await replay(folder, name, device);
      if (values.json) process.stdout.write(`${JSON.stringify({ name, options, compared })}\n`);
      else print(name, compared);
      count += compared.length;
      bad += compared.filter(({ ok }) => !ok).length;
    }
    const verdict = bad === 0 ? 'all inside tolerance' : `${bad} outside tolerance`;
    process.stdout.write(`${names.length} recorded searches, ${count} quantities compared, ${verdict}\n`);
    return bad === 0 ? 0 : 1;
  } finally {
    await device.close();
  }
}

function providerOf(given: string): (typeof PROVIDERS)[number] {
  const found = PROVIDERS.find((name) => name === given);
  if (found !== undefined) return found;
  throw new RefereeError('InvalidOption', `--provider is ${quoted(given)}, expected one of ${PROVIDERS.join(', ')}`);
}

function print(name: string, compared: readonly Compared[]): void {
  process.stdout.write(`${name}\n`);
  process.stdout.write('  mode step quantity                        max abs   max rel    stated   allowed\n');
  for (const { mode, step, quantity, maxAbs, maxRel, stated, allowed, ok } of compared) {
    const columns = [
      mode.padEnd(4),
      (step === undefined ? '' : String(step)).padStart(4),
      quantity.padEnd(28),
      maxAbs.toExponential(2).padStart(9),
      maxRel.toExponential(2).padStart(9),
      (stated === undefined ? '-' : stated.toExponential(2)).padStart(9),
      allowed.toExponential(2).padStart(9),
    ];
    process.stdout.write(`  ${columns.join(' ')}${ok ? '' : '  OUTSIDE'}\n`);
  }
}
