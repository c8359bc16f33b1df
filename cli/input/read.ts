/**
 * @file From the argument `<prompt | file | ->` to records, all of them parsed before any work.
 */
import type { Stats } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { extname } from 'node:path';
import type { Readable } from 'node:stream';

import { RefereeError, quoted } from '../../errors.ts';
import { ITEMS_MAX, checkPrompt, checkUniqueIds } from '../../activities/records.ts';
import type { PromptRecord } from '../../activities/records.ts';
import { parseJsonl } from './jsonl.ts';
import { parseText } from './text.ts';

export type InputFormat = 'text' | 'jsonl';

export interface Input {
  /** `prompt` when the argument itself is one; otherwise the file's name as given, or `stdin`. */
  readonly source: string;
  readonly isFile: boolean;
  readonly records: readonly PromptRecord[];
}

export interface ReadOptions {
  readonly stdin: Readable;
  /** Instead of the one that the extension tells. */
  readonly format?: InputFormat | undefined;
  /** Told what is wrong with a line, which is then left out. Without it the first such line is an error. */
  readonly onInvalid?: ((error: RefereeError) => void) | undefined;
}

const FORMATS: Readonly<Record<string, InputFormat>> = { '.txt': 'text', '.jsonl': 'jsonl', '.ndjson': 'jsonl' };

/** 10^6 records of ordinary length; more than this does not fit into a string either. */
const INPUT_MAX_BYTES = 512 * 1024 * 1024;

/** @throws InvalidInput: one line that names the file, the line and the field */
export async function readInput(argument: string, { stdin, format, onInvalid }: ReadOptions): Promise<Input> {
  if (argument === '-') {
    const bytes = await readStream(stdin);
    return parsed(bytes, 'stdin', { format: format ?? guessedFormat(bytes), onInvalid });
  }
  const found = await statOf(argument);
  const known = FORMATS[extname(argument).toLowerCase()];
  if (found === undefined && known === undefined) {
    const record = { prompt: checkPrompt(argument), overrides: {}, tags: [], metadata: {} };
    return { source: 'prompt', isFile: false, records: [record] };
  }
  const bytes = await readWhole(argument, found);
  return parsed(bytes, argument, { format: format ?? known ?? guessedFormat(bytes), onInvalid });
}

function parsed(
  bytes: Uint8Array,
  source: string,
  { format, onInvalid }: Pick<ReadOptions, 'onInvalid'> & { readonly format: InputFormat },
): Input {
  const records: PromptRecord[] = [];
  for (const record of (format === 'jsonl' ? parseJsonl : parseText)(bytes, source, onInvalid)) {
    records.push(record);
    if (records.length > ITEMS_MAX)
      throw new RefereeError('InvalidInput', `${source}: expected at most ${ITEMS_MAX} prompts, found more`);
  }
  if (records.length === 0) {
    throw new RefereeError(
      'InvalidInput',
      `${source}: expected at least one prompt, found none in ${bytes.length} bytes`,
    );
  }
  checkUniqueIds(records);
  return { source, isFile: true, records };
}

/** A line that opens an object is no prompt. */
function guessedFormat(bytes: Uint8Array): InputFormat {
  const start = new TextDecoder().decode(bytes.subarray(0, 4096)).trimStart();
  return start.startsWith('{') ? 'jsonl' : 'text';
}

async function readWhole(file: string, found: Stats | undefined): Promise<Uint8Array> {
  const fail = (message: string, cause?: unknown): never => {
    throw new RefereeError('InvalidInput', `${file}: ${message}`, { cause, details: { file } });
  };
  if (found === undefined) return fail('expected a file of prompts, found no such file');
  if (found.isDirectory()) return fail('expected a file of prompts, found a folder');
  if (found.size > INPUT_MAX_BYTES) return fail(`expected at most ${INPUT_MAX_BYTES} bytes, found ${found.size}`);
  try {
    return await readFile(file);
  } catch (cause) {
    return fail(`cannot be read: ${quoted(cause instanceof Error ? cause.message : cause)}`, cause);
  }
}

async function readStream(stream: Readable): Promise<Uint8Array> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of stream) {
    const buffer = Buffer.from(piece as Uint8Array);
    bytes += buffer.length;
    if (bytes > INPUT_MAX_BYTES)
      throw new RefereeError('InvalidInput', `stdin: expected at most ${INPUT_MAX_BYTES} bytes, found more`);
    pieces.push(buffer);
  }
  return Buffer.concat(pieces);
}

/** Undefined also for text that cannot be a path: it is a prompt then. */
async function statOf(path: string): Promise<Stats | undefined> {
  if (path.trim() === '') return undefined;
  return stat(path).catch(() => undefined);
}
