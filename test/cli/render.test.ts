import { execaSync } from 'execa';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { readEnvironment } from '../../cli/config.ts';
import { exitCodeOf } from '../../cli/exit-codes.ts';
import { renderError, shellQuoted } from '../../cli/render.ts';
import { ERROR_CODES, RefereeError } from '../../errors.ts';
import type { ErrorCode } from '../../errors.ts';

function rendered(error: unknown, json: boolean): { out: string; err: string } {
  const texts = { out: '', err: '' };
  const stdout = { write: (text: string) => ((texts.out += text), true) };
  const stderr = { write: (text: string) => ((texts.err += text), true) };
  renderError(error, json, { stdout, stderr });
  return texts;
}

describe('errors', () => {
  test('for people: one line and a hint on stderr', () => {
    const error = new RefereeError('InvalidInput', 'p.txt:3: bad\nname \u001B[31m', { hint: 'do\nthis' });
    expect(rendered(error, false)).toEqual({ out: '', err: 'error: p.txt:3: bad name \uFFFD[31m\nhint: do this\n' });
  });

  test('for programs: one document on stdout with the place', () => {
    const error = new RefereeError('InvalidInput', 'bad', { details: { field: 'steps', file: 'p.jsonl', line: 3 } });
    const { out, err } = rendered(error, true);
    expect(JSON.parse(out)).toEqual({
      v: 1,
      error: { code: 'InvalidInput', message: 'bad', field: 'steps', file: 'p.jsonl', line: 3 },
    });
    expect(err).toBe('');
  });

  test('only bugs show where they come from', () => {
    expect(rendered(new TypeError('x is undefined'), false).err).toMatch(
      /^error: x is undefined\nhint: this is a bug.*\nTypeError.*\n +at /,
    );
    for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) {
      if (code !== 'Internal') expect(rendered(new RefereeError(code, 'm'), false).err).not.toContain(' at ');
    }
  });

  test('exit with the code of the table; interruptions by signal', () => {
    for (const [code, { exit }] of Object.entries(ERROR_CODES))
      expect(exitCodeOf(new RefereeError(code as ErrorCode, 'm'))).toBe(exit);
    expect(exitCodeOf(new Error('x'))).toBe(1);
    expect(exitCodeOf(new RefereeError('Interrupted', 'm', { details: { signal: 'SIGTERM' } }))).toBe(143);
    expect(exitCodeOf(new RefereeError('Interrupted', 'm', { details: { signal: 'SIGINT' } }))).toBe(130);
  });
});

test('quoted words come back from a shell as they were', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.string({ unit: 'binary' }).map((s) => s.replaceAll('\0', '')),
        { minLength: 1, maxLength: 20 },
      ),
      (words) => {
        const wellFormed = words.map((word) => Buffer.from(word).toString());
        const { stdout } = execaSync('sh', ['-c', `printf '%s\\0' ${wellFormed.map(shellQuoted).join(' ')}`], {
          stripFinalNewline: false,
        });
        expect(stdout.split('\0').slice(0, -1)).toEqual(wellFormed);
      },
    ),
    { numRuns: 30 },
  );
});

test.each([
  [{}, true, { isInteractive: true, hasColour: true }],
  [{}, false, { isInteractive: false, hasColour: false }],
  [{ NO_COLOR: '1' }, true, { isInteractive: true, hasColour: false }],
  [{ NO_COLOR: '' }, true, { isInteractive: true, hasColour: true }],
  [{ CI: 'true' }, true, { isInteractive: false, hasColour: false }],
  [{ TERM: 'dumb' }, true, { isInteractive: false, hasColour: false }],
])('environment %j, terminal %s: %j', (env, isTTY, expected) => {
  expect(readEnvironment({ env, stderr: { isTTY, columns: 100 } })).toEqual({ ...expected, columns: 100 });
});
