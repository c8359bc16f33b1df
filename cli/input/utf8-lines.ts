/**
 * @file Bytes to lines of text: UTF-8 with or without a byte order mark, line ends of any system. A byte that is not
 * UTF-8 is an error that says where it is.
 */
import { isUtf8 } from 'node:buffer';

import { RefereeError } from '../../errors.ts';

export interface Line {
  /** From 1. */
  readonly number: number;
  readonly text: string;
}

const NEWLINE = 0x0a;

/** @throws InvalidInput naming file, line and byte */
export function* utf8Lines(bytes: Uint8Array, file: string): Generator<Line> {
  const hasMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  let start = hasMark ? 3 : 0;
  for (let number = 1; start < bytes.length; number++) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline < 0 ? bytes.length : newline;
    const line = bytes.subarray(start, end);
    if (!isUtf8(line)) throw notUtf8(line, { file, line: number });
    yield { number, text: Buffer.from(line.buffer, line.byteOffset, line.length).toString('utf8').replace(/\r$/, '') };
    start = end + 1;
  }
}

function notUtf8(line: Uint8Array, { file, line: number }: { file: string; line: number }): RefereeError {
  const at = firstInvalid(line);
  const found = `0x${line[at]!.toString(16).padStart(2, '0')}`;
  return new RefereeError(
    'InvalidInput',
    `${file}:${number}: byte ${at + 1} of the line: expected UTF-8, found ${found}`,
    {
      hint: 'save the file with the encoding UTF-8',
      details: { file, line: number, byte: at + 1 },
    },
  );
}

/** Index of the first byte that no UTF-8 text can have after the bytes before it. */
function firstInvalid(line: Uint8Array): number {
  let [whole, broken] = [0, line.length];
  while (whole + 1 < broken) {
    const middle = (whole + broken) >> 1;
    if (isPrefixOfText(line.subarray(0, middle))) whole = middle;
    else broken = middle;
  }
  // A sequence that is only cut off by the end of the line is a prefix of text to its last byte.
  return broken - 1;
}

function isPrefixOfText(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}
