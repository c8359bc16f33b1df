/**
 * @file What every input that cannot be used must meet with.
 */
import { expect } from 'vitest';

import { referee } from './command.ts';

/** One `error:` line, perhaps one `hint:` line, exit code 2; with --json the same as a document. Returns the message. */
export async function refused(argv: readonly string[]): Promise<string> {
  const plain = await referee(argv);
  const [error, ...hints] = plain.stderr
    .trimEnd()
    .split('\n')
    .filter((line) => !line.startsWith('note: '));
  expect(plain.stdout).toBe('');
  expect(error).toMatch(/^error: /);
  expect(hints.filter((line) => !line.startsWith('hint: '))).toEqual([]);
  expect(hints.length).toBeLessThanOrEqual(1);
  expect(plain.code).toBe(2);

  const json = await referee([...argv, '--json']);
  const document = json.events.at(-1) as { v: number; error: { code: string; message: string; hint?: string } };
  expect(document).toMatchObject({ v: 1, error: { message: error!.slice('error: '.length) } });
  expect(document.error.code).not.toBe('Internal');
  expect(hints).toEqual(document.error.hint === undefined ? [] : [`hint: ${document.error.hint}`]);
  expect([json.code, json.stderr]).toEqual([2, '']);
  expect(json.events.slice(0, -1).filter(({ type }) => type !== 'note')).toEqual([]);
  return document.error.message;
}
