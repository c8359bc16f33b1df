/**
 * @file Everything that must hold, one after the other: the build, types, lint, format, unit and integration tests. Ends
 * with a plain line of counts, in which each check is a test; the exit code is 0 when nothing failed.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { execa } from 'execa';

import { softwareVulkan } from '../test/support/software-vulkan.ts';

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const root = fileURLToPath(new URL('..', import.meta.url));

const CHECKS: readonly (readonly [name: string, command: string, ...argv: string[]])[] = [
  ['build', 'tsx', 'scripts/build.ts'],
  ['types', 'tsc', '--noEmit'],
  ['lint', 'eslint', '.', '--max-warnings', '0'],
  ['format', 'prettier', '--check', '.'],
];

/** Integration tests run the command as it was built, hence after the build. */
const PROJECTS = ['unit', 'integration'];

async function isPassing([name, command, ...argv]: readonly string[]): Promise<boolean> {
  process.stdout.write(`\n== ${name!}\n`);
  const { failed } = await execa(command!, argv, { cwd: root, preferLocal: true, stdio: 'inherit', reject: false });
  return !failed;
}

async function check(command: readonly string[]): Promise<Counts> {
  return (await isPassing(command)) ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 };
}

/** Runs one project of tests. A file that cannot even be loaded is a failure that the runner does not count as a test. */
async function runTests(project: string, more: readonly string[] = []): Promise<Counts> {
  const folder = await mkdtemp(join(tmpdir(), 'referee-counts-'));
  const report = join(folder, 'report.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const ok = await isPassing([`${project} tests`, 'vitest', 'run', '--project', project, ...more, ...reporters]);
  const counts = await readCounts(report);
  await rm(folder, { recursive: true });
  return ok || counts.failed > 0 ? counts : { ...counts, failed: 1 };
}

async function readCounts(report: string): Promise<Counts> {
  try {
    const found = JSON.parse(await readFile(report, 'utf8')) as Record<string, number>;
    const [passed, failed, pending, todo] = ['Passed', 'Failed', 'Pending', 'Todo'].map(
      (kind) => found[`num${kind}Tests`] ?? 0,
    );
    return { passed: passed!, failed: failed!, skipped: pending! + todo! };
  } catch {
    return { passed: 0, failed: 1, skipped: 0 }; // the runner did not get as far as a report
  }
}

/** Continuous integration may install the driver that WebGPU is tested on; elsewhere nothing is installed unasked. */
async function prepareVulkan(): Promise<void> {
  if (softwareVulkan() !== undefined || process.env['CI'] !== 'true' || process.getuid?.() !== 0) return;
  process.stdout.write('\n== installing chromium, for its software Vulkan driver\n');
  const options = { stdio: 'ignore', reject: false, timeout: 300_000 } as const;
  await execa('apt-get', ['update'], options);
  const { failed } = await execa('apt-get', ['install', '-y', '--no-install-recommends', 'chromium'], options);
  if (failed) process.stdout.write('chromium could not be installed\n');
}

await prepareVulkan();
const results: Counts[] = [];
for (const command of CHECKS) results.push(await check(command));
for (const project of PROJECTS) results.push(await runTests(project));
// A file at a time: each has servers and workers, a machine's worth of processes.
results.push(await runTests('temporal', ['--no-file-parallelism']));

const sum = (kind: keyof Counts): number => results.reduce((total, counts) => total + counts[kind], 0);
const skipped = sum('skipped') > 0 ? `, ${sum('skipped')} skipped` : '';
if (softwareVulkan() === undefined) process.stdout.write("\nwebgpu: not run: install Debian's chromium\n");
process.stdout.write(`\n${sum('passed')} passed, ${sum('failed')} failed${skipped}\n`);
process.exitCode = sum('failed') > 0 ? 1 : 0;
