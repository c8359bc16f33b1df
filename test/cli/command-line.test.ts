import { spawn } from 'node:child_process';
import { mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

import { execa } from 'execa';
import { beforeAll, describe, expect, test } from 'vitest';

import { runCommandLine } from '../../cli/command-line.ts';

const child = fileURLToPath(new URL('./children/referee.ts', import.meta.url));
const tsx = fileURLToPath(import.meta.resolve('tsx'));

interface Ended {
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

let cwd: string;
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'referee-test-'));
  await writeFile(join(cwd, 'broken.jsonl'), '{"prompt":"a"}\n{"prompt":\n');
  await writeFile(join(cwd, 'mixed.txt'), 'a red circle\nfail here\n');
});

/** In this process: all but signals, pipes and the real streams. */
async function refereeHere(argv: readonly string[]): Promise<Ended> {
  const texts = { stdout: '', stderr: '' };
  const stdout = { write: (text: string) => ((texts.stdout += text), true) };
  const stderr = { write: (text: string) => ((texts.stderr += text), true) };
  const environment = { isInteractive: false, hasColour: false, columns: 80 };
  const never = (): Promise<never> => Promise.reject(new Error('no work is expected'));
  const engine = { startRun: never, checkFolder: never };
  const stdin = Readable.from([]);
  const code = await runCommandLine({ argv, stdin, stdout, stderr, environment, engine, version: '0.0.0' });
  return { code, ...texts };
}

async function referee(argv: readonly string[], { env = {}, input = '' } = {}): Promise<Ended> {
  const ended = await execa(process.execPath, ['--import', tsx, child, ...argv], { cwd, env, input, reject: false });
  return { code: ended.exitCode, stdout: ended.stdout, stderr: ended.stderr };
}

describe('usage', () => {
  test.each([
    [['rnu', 'x'], 'unknown command "rnu": did you mean "run"?'],
    [['run', 'x', '--stpes', '3'], 'unknown option "--stpes": did you mean "--steps"?'],
    [['run'], 'expected <prompt>, found nothing'],
    [['run', 'a', 'red', 'circle'], 'expected one argument, found several'],
    [['run', 'x', '--steps'], '--steps: expected a value, found nothing'],
    [['run', 'x', '--steps', '0'], '--steps: expected a whole number from 1 to 10000, found 0'],
    [['run', 'x', '--steps', '-1'], '--steps: expected a whole number from 1 to 10000, found -1'],
    [['run', 'x', '--steps', '1e99'], '--steps: expected a whole number from 1 to 10000, found 1e+99'],
    [['run', 'x', '--steps', 'many'], '--steps: expected a whole number from 1 to 10000, found "many"'],
    [['run', 'x', '--guidance', 'NaN'], '--guidance: expected a number from 0 to 1000, found "NaN"'],
    [['run', 'x', '--pack', 'nope'], 'pack: found "nope", expected'],
    [['run', 'x', '--pack', '../../etc'], 'pack: found "../../etc", expected'],
    [['run', 'x', '--seed', '1', '--seeds', '2'], '--seeds: expected either --seed or --seeds, found both'],
    [['run', ''], '"prompt": expected a description of the image, found ""'],
    [['run', 'gone.txt'], 'gone.txt: expected a file of prompts, found no such file'],
    [['models', 'chekc', 'x'], 'unknown command "chekc": did you mean "check"?'],
  ])('%j: one line, exit code 2, for people and for programs', async (argv, message) => {
    const plain = await refereeHere(argv);
    expect(plain.code).toBe(2);
    expect(plain.stdout).toBe('');
    const [first, ...rest] = plain.stderr.trimEnd().split('\n');
    expect(first).toContain(`error: ${message}`);
    expect(rest.length).toBeLessThanOrEqual(1);
    if (rest[0]) expect(rest[0]).toMatch(/^hint: /);

    const json = await refereeHere([...argv, '--json']);
    expect(json.code).toBe(2);
    const document = JSON.parse(json.stdout) as { v: number; error: { code: string; message: string } };
    expect(document.v).toBe(1);
    if (argv.at(-1) !== '--steps') expect(document.error.message).toContain(message);
  });

  test('help of every command goes to stdout with examples and exit code 0', async () => {
    for (const argv of [['--help'], ['run', '--help'], ['models', 'check', '--help'], ['help', 'run']]) {
      const { code, stdout } = await refereeHere(argv);
      expect(code).toBe(0);
      expect(stdout).toContain('Examples:\n  referee ');
    }
    expect((await refereeHere(['run', '--help'])).stdout).toContain('--perspective-distortion');
  });

  test('no words at all: help on stderr, exit code 2', async () => {
    const { code, stdout, stderr } = await refereeHere([]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain('Usage: referee');
  });
});

describe('a run', () => {
  test('whose input is broken does not begin', async () => {
    expect(await referee(['run', 'broken.jsonl'])).toEqual({
      code: 2,
      stdout: '',
      stderr: 'error: broken.jsonl:2: expected one JSON object, found at column 11 the end of the line',
    });
    expect(await readdir(cwd)).not.toContain('runs');
  });

  test('prints path, score and the command that repeats it; the rest goes to stderr', async () => {
    const { code, stdout, stderr } = await referee(['run', "it's a red circle", '--steps', '4', '--quiet']);
    expect(code).toBe(0);
    expect(stdout.split('\n')).toEqual([
      'runs/r0/items/i0/image.png  itm 0.500',
      `again with     referee run 'it'\\''s a red circle' --steps 4 --seed 0`,
    ]);
    expect(stderr).toBe('');
  });

  test('with --json prints nothing but events, one document a line', async () => {
    const { code, stdout, stderr } = await referee(['run', '-', '--json', '--seeds', '4,9'], {
      input: 'a red circle\n',
    });
    const events = stdout.split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(events.every(({ v, time }) => v === 1 && !Number.isNaN(Date.parse(String(time))))).toBe(true);
    const types = events.map(({ type }) => type);
    expect(types).toEqual([
      'plan',
      ...['start', 'step', 'step', 'step', 'step', 'done', 'start', 'step', 'step', 'step', 'step', 'done'],
      'summary',
    ]);
    expect(events.filter(({ type }) => type === 'done').map(({ seed }) => seed)).toEqual([4, 9]);
    expect([code, stderr]).toEqual([0, '']);
  });

  test('of which some items fail ends with exit code 3 and keeps the rest', async () => {
    const { code, stdout, stderr } = await referee(['run', 'mixed.txt']);
    expect(code).toBe(3);
    expect(stdout).toContain('items/i0/image.png');
    expect(stderr).toContain('failed: fail here: step 3');
    expect(stderr).toContain('error: 1 of 2 images failed');
  });

  test('whose store fails ends with one line, also with --json', async () => {
    expect(await referee(['run', 'x'], { env: { CRASH: 'full' } })).toMatchObject({
      code: 2,
      stderr: 'error: store "runs": no space left\nhint: free some space and run the same command again: it goes on',
    });
    const json = await referee(['run', 'x', '--json'], { env: { CRASH: 'full' } });
    expect(JSON.parse(json.stdout)).toMatchObject({ v: 1, error: { code: 'StoreFull' } });
  });

  test('that meets a bug of ours says so, with a trace and exit code 1', async () => {
    const { code, stderr } = await referee(['run', 'x'], { env: { CRASH: 'bug' } });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: x is undefined\nhint: this is a bug: please report/);
    expect(stderr).toContain('children/referee.ts');
  });
});

describe('interruptions', () => {
  function start(argv: readonly string[], stepMs: number) {
    const env = { ...process.env, STEP_MS: String(stepMs) };
    const running = spawn(process.execPath, ['--import', tsx, child, ...argv], { cwd, env });
    const texts = { stdout: '', stderr: '' };
    const said = (stream: 'stdout' | 'stderr', part: string): Promise<void> =>
      new Promise((resolve) => {
        const check = (): void => {
          if (texts[stream].includes(part)) resolve();
        };
        running[stream].on('data', check);
        check();
      });
    for (const stream of ['stdout', 'stderr'] as const) {
      running[stream].on('data', (data: Buffer) => {
        texts[stream] += data.toString();
      });
    }
    const ended = new Promise<number | null>((resolve) => running.on('close', (code) => resolve(code)));
    return { running, texts, said, ended };
  }

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('the first %s saves, says how to go on, and exits with %d', async (signal, code) => {
    const { running, texts, said, ended } = start(['run', 'a red circle'], 50);
    await said('stderr', 'run     ');
    running.kill(signal);
    expect(await ended).toBe(code);
    expect(texts.stderr).toContain('saving all searches at their next step; Ctrl-C again stops at once');
    expect(texts.stderr).toContain(
      "error: interrupted: 0 done, 1 saved to go on\nhint: go on with: referee run 'a red circle' --seed 0\n",
    );
  });

  test('the second one stops at once', async () => {
    const { running, said, ended } = start(['run', 'a red circle'], 60_000);
    await said('stderr', 'run     ');
    running.kill('SIGINT');
    await said('stderr', 'Ctrl-C again stops at once');
    running.kill('SIGINT');
    expect(await ended).toBe(130);
  });

  test('with --json the last document says so', async () => {
    const { running, texts, said, ended } = start(['run', 'a red circle', '--json'], 50);
    await said('stdout', '"step"');
    running.kill('SIGINT');
    expect(await ended).toBe(130);
    const documents = texts.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(documents.at(-1)).toMatchObject({ v: 1, error: { code: 'Interrupted' } });
    expect(documents.at(-2)).toMatchObject({ type: 'summary', interrupted: true, unfinished: 1 });
  });

  test('a reader that goes away ends the program without a word', async () => {
    const { running, texts, said, ended } = start(['run', 'a red circle', '--json', '--seeds', '1-100'], 5);
    await said('stdout', '"step"');
    running.stdout.destroy();
    expect(await ended).toBe(141);
    expect(texts.stderr).toBe('');
  });
});
