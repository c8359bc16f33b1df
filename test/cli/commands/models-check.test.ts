import { Readable } from 'node:stream';

import { expect, test } from 'vitest';

import type { CheckOptions, CheckReport, CheckRow } from '../../../activities/models-check.ts';
import { runCommandLine } from '../../../cli/command-line.ts';

const row: CheckRow = {
  function: 'decode',
  tensor: 'output.image',
  maxAbs: 1e-6,
  maxRel: 2e-6,
  tolerance: 1e-5,
  ok: true,
};
const outside: CheckRow = { ...row, tensor: 'gradient.latent', maxAbs: Infinity, maxRel: Infinity, ok: false };

/** The command over a report that is given: what it prints of it, and what it asked for. */
async function check(argv: readonly string[], rows: readonly CheckRow[]) {
  const texts = { stdout: '', stderr: '' };
  const stdout = { write: (text: string) => ((texts.stdout += text), true) };
  const stderr = { write: (text: string) => ((texts.stderr += text), true) };
  const asked: unknown[] = [];
  const checkFolder = (folder: string, options?: CheckOptions): Promise<CheckReport> => {
    asked.push(folder, options);
    return Promise.resolve({
      folder,
      model: 'AutoencoderKL',
      weights: 'w',
      provider: 'cpu',
      rows,
      ok: rows.every(({ ok }) => ok),
    });
  };
  const code = await runCommandLine({
    argv: ['models', 'check', ...argv],
    stdin: Readable.from([]),
    stdout,
    stderr,
    environment: { isInteractive: false, hasColour: false, columns: 80 },
    engine: {
      startRun: () => Promise.reject(new Error('not asked for')),
      checkFolder: () => Promise.resolve(checkFolder),
    },
    version: '0.0.0',
  });
  return { code, ...texts, asked };
}

test('all inside: a line per tensor, exit code 0', async () => {
  const { code, stdout, stderr } = await check(['folder'], [row, { ...row, tensor: 'output.latent' }]);
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout.trimEnd().split('\n')).toEqual([
    'AutoencoderKL of w on cpu',
    'function  tensor         absolute  relative  allowed',
    'decode    output.image   1.00e-6   2.00e-6   1.00e-5  ok',
    'decode    output.latent  1.00e-6   2.00e-6   1.00e-5  ok',
  ]);
});

test('some outside: exit code 3, and stdout stays one document with --json', async () => {
  const plain = await check(['folder'], [row, outside]);
  expect(plain.code).toBe(3);
  expect(plain.stdout).toContain('OUTSIDE');
  expect(plain.stderr).toBe('error: folder: 1 of 2 tensors are outside of their tolerance\n');
  const json = await check(['folder', '--json'], [row, outside]);
  expect(json.code).toBe(3);
  expect(JSON.parse(json.stdout)).toMatchObject({ v: 1, ok: false, rows: [{ ok: true }, { ok: false }] });
});

test('tolerances, weights and device are passed on', async () => {
  const { asked } = await check(['f', '--rtol', '1e-3', '--atol', '0', '--weights', '../w', '--threads', '2'], [row]);
  expect(asked).toEqual(['f', { rtol: 1e-3, atol: 0, weights: '../w', device: { provider: 'cpu', threads: 2 } }]);
});
