/**
 * @file Generated cases against everything that people send and everything that is read back: lines of prompts, ids, keys,
 * checkpoints, results. Each is read, or refused in one line; a case that is not ends the search with its smallest form.
 *
 * Usage: npm run fuzz -- [--cases 100000] [--seed n] [--only <name>]
 */
import { parseArgs } from 'node:util';

import fc from 'fast-check';

import { inputProperties } from '../test/fuzz/inputs.ts';
import { storedProperties } from '../test/fuzz/stored.ts';

const { values: flags } = parseArgs({
  options: {
    cases: { type: 'string', default: '100000' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    only: { type: 'string', default: '' },
  },
});
const [cases, seed] = [Number(flags.cases), Number(flags.seed)];
if (!Number.isSafeInteger(cases) || cases < 1 || !Number.isSafeInteger(seed)) {
  process.stderr.write('error: --cases and --seed: expected whole numbers\n');
  process.exit(2);
}

const all = [...(await inputProperties()), ...storedProperties()].filter(({ name }) => name.includes(flags.only));
for (const { name, property } of all) {
  const begun = performance.now();
  const found = await fc.check(property as fc.IAsyncProperty<unknown>, { numRuns: cases, seed });
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  if (found.failed) {
    process.stdout.write(
      `${name}: FAILED after ${found.numRuns} cases: npm run fuzz -- --seed ${seed} --only '${name}'\n`,
    );
    process.stdout.write(`${JSON.stringify(found.counterexample)}\n${String(found.errorInstance)}\n`);
    process.exitCode = 1;
  } else {
    process.stdout.write(`${name}: ${found.numRuns} cases in ${seconds} s, seed ${seed}\n`);
  }
}
