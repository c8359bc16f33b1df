/**
 * @file The two files of a tokenizer, checked as far as we rely on them; the parts of tokenizer.json that describe rules
 * are checked by the library that follows them.
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { z } from 'zod';

import { RefereeError } from '../../errors.ts';

/** The largest vocabularies of today have some twenty megabytes. */
const MAX_FILE_BYTES = 100_000_000;

const part = z.looseObject({}).nullable().default(null);

const tokenizerJson = z.looseObject({
  model: z.looseObject({
    vocab: z.record(z.string(), z.int().min(0)).describe('token -> id'),
  }),
  added_tokens: z.array(z.looseObject({ id: z.int().min(0), content: z.string().min(1) })).default([]),
  normalizer: part,
  pre_tokenizer: part,
  post_processor: part,
  decoder: part,
});

/** A special token is its text, or an object around it. */
const specialToken = z
  .union([z.string(), z.looseObject({ content: z.string() })])
  .nullable()
  .transform((token) => (token === null ? undefined : typeof token === 'string' ? token : token.content))
  .optional();

const tokenizerConfig = z.looseObject({
  pad_token: specialToken,
  unk_token: specialToken,
  model_max_length: z.number().positive().optional(),
});

export interface TokenizerFiles {
  readonly tokenizer: z.infer<typeof tokenizerJson>;
  readonly config: z.infer<typeof tokenizerConfig>;
}

/** @throws RefereeError `InvalidModel`, naming file and field */
export async function readTokenizerFiles(folder: string): Promise<TokenizerFiles> {
  return {
    tokenizer: await readJson(join(folder, 'tokenizer.json'), tokenizerJson),
    config: await readJson(join(folder, 'tokenizer_config.json'), tokenizerConfig),
  };
}

async function readJson<T>(path: string, schema: z.ZodType<T>): Promise<T> {
  const invalid = (problem: string, cause?: unknown): RefereeError =>
    new RefereeError('InvalidModel', `${path}: ${problem}`, { cause, details: { file: path } });
  let text: string;
  try {
    const found = await stat(path);
    if (!found.isFile()) throw invalid('not a file');
    if (found.size > MAX_FILE_BYTES) throw invalid(`${found.size} bytes, expected at most ${MAX_FILE_BYTES}`);
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (cause instanceof RefereeError) throw cause;
    throw invalid((cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file' : 'cannot be read', cause);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw invalid('not valid JSON', cause);
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw invalid(`${issue?.path.join('.') || 'file'}: ${issue?.message ?? 'invalid'}`);
}
