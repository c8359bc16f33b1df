/**
 * @file Measures the tables of docs/explanation/speed.md anew and puts them into the page, between the marks
 * `<!-- measured: <name> -->` and `<!-- end -->`: each is what one of the benchmarks prints. A quarter of an hour in all, on
 * a machine that does nothing else; one name at a time takes one to three minutes.
 *
 * Usage: tsx bench/speed-page.ts [--only <name>,<name>...] [--list]
 */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';

/** By name of the table: the benchmark and its arguments. */
const TABLES: Readonly<Record<string, readonly string[]>> = {
  layers: ['layers.ts', '--repeats', '25'],
  shapes: ['whole-step.ts', '--pack', 'shapes', '--lanes', '1,8', '--repeats', '20'],
  mid: ['whole-step.ts', '--pack', 'mid', '--seed', '1', '--repeats', '3'],
  lanes: ['lanes.ts', '--repeats', '15'],
  allocators: ['allocators.ts', '--pack', 'mid', '--repeats', '2'],
  roofline: ['roofline.ts', '--repeats', '3'],
  'profile-shapes': ['profile.ts', '--pack', 'shapes', '--repeats', '10'],
  'profile-mid': ['profile.ts', '--pack', 'mid', '--repeats', '3', '--top', '10'],
};
const page = fileURLToPath(new URL('../docs/explanation/speed.md', import.meta.url));

const { values: flags } = parseArgs({
  options: {
    only: { type: 'string', default: Object.keys(TABLES).join(',') },
    list: { type: 'boolean', default: false },
  },
});
if (flags.list) process.stdout.write(`${Object.keys(TABLES).join('\n')}\n`);
else for (const name of flags.only.split(',')) await refresh(name);

async function refresh(name: string): Promise<void> {
  const [script, ...given] = TABLES[name] ?? [];
  if (script === undefined)
    throw new Error(`--only: found ${name}, expected some of ${Object.keys(TABLES).join(', ')}`);
  process.stderr.write(`${name}: ${script} ${given.join(' ')}\n`);
  const path = fileURLToPath(new URL(script, import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [...process.execArgv, path, ...given]);
  const text = await readFile(page, 'utf8');
  const [begin, end] = [`<!-- measured: ${name} -->\n`, '<!-- end -->'];
  const from = text.indexOf(begin) + begin.length;
  const to = text.indexOf(end, from);
  if (from < begin.length || to < 0) throw new Error(`${page} has no place for ${name}`);
  const heading = `\`npx tsx bench/${script} ${given.join(' ')}\``;
  await writeFile(page, `${text.slice(0, from)}\n${heading}\n\n${stdout.trim()}\n${text.slice(to)}`);
}
