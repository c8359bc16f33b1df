/**
 * @file Prompt records: what a line of the input may say, checked field by field. An error says where the line is, which
 * field, what was found and what was expected.
 */
import { z } from 'zod';

import { RefereeError, quoted } from '../errors.ts';
import { MethodOptions } from '../inversion/options.ts';
import { suggestion } from '../inversion/suggest.ts';
import type { Origin } from './run-contract.ts';

/** Bytes of UTF-8. A text encoder reads about 400 of them. */
export const PROMPT_MAX_BYTES = 16_384;

/** Items of a run, and seeds of a prompt. */
export const ITEMS_MAX = 1_000_000;

/** One prompt as it was asked for; `overrides` are options of the method by field name. */
export interface PromptRecord {
  readonly prompt: string;
  readonly id?: string;
  readonly seeds?: readonly number[];
  readonly width?: number;
  readonly height?: number;
  readonly overrides: Readonly<Record<string, unknown>>;
  readonly tags: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly origin?: Origin;
}

const SEED = `a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`;
const seed = z.int({ error: SEED }).min(0, { error: SEED });
const side = z.int({ error: 'a whole number of pixels' }).positive({ error: 'a whole number of pixels' });
const SEEDS = `a list of 1 to ${ITEMS_MAX} seeds`;
const TAG = 'text of 1 to 100 printable characters';
const ID = 'text of 1 to 200 printable characters';
const PRINTABLE = /^[^\p{C}\p{Zl}\p{Zp}]+$/u;

const recordFields = {
  prompt: z.string({ error: 'text' }),
  // A name of the user's own: printed and kept, never part of a path.
  id: z.string({ error: ID }).max(200, { error: ID }).regex(PRINTABLE, { error: ID }).optional(),
  seed: seed.optional(),
  seeds: z.array(seed, { error: SEEDS }).min(1, { error: SEEDS }).max(ITEMS_MAX, { error: SEEDS }).optional(),
  width: side.optional(),
  height: side.optional(),
  tags: z
    .array(z.string({ error: TAG }).max(100, { error: TAG }).regex(PRINTABLE, { error: TAG }), {
      error: 'a list of texts',
    })
    .max(100, { error: 'a list of at most 100 texts' })
    .optional(),
  metadata: z.record(z.string(), z.unknown(), { error: 'an object' }).optional(),
};

const recordSchema = z.strictObject({ ...recordFields, ...MethodOptions.partial().shape }, { error: 'an object' });

/** Every field that a record may have, in the order in which help lists them. */
export const RECORD_FIELDS: readonly string[] = Object.keys(recordSchema.shape);

/** @throws InvalidInput that names the field, and the line where there is one */
export function parseRecord(data: unknown, origin?: Origin): PromptRecord {
  const parsed = recordSchema.safeParse(data);
  if (!parsed.success) throw recordError(parsed.error.issues[0]!, data, origin);
  const { prompt, id, seed: one, seeds, width, height, tags = [], metadata = {}, ...overrides } = parsed.data;
  if (one !== undefined && seeds !== undefined) {
    throw invalid(origin, 'seeds', 'expected either "seed" or "seeds", found both');
  }
  return {
    prompt: checkPrompt(prompt, origin),
    ...(id !== undefined && { id }),
    ...(one !== undefined && { seeds: [one] }),
    ...(seeds !== undefined && { seeds: [...new Set(seeds)] }),
    ...(width !== undefined && { width }),
    ...(height !== undefined && { height }),
    overrides,
    tags,
    metadata,
    ...(origin && { origin }),
  };
}

/** A prompt that says something and that a text encoder can be given. @throws InvalidInput */
export function checkPrompt(prompt: string, origin?: Origin): string {
  const bytes = Buffer.byteLength(prompt);
  if (prompt.trim() === '')
    throw invalid(origin, 'prompt', `expected a description of the image, found ${quoted(prompt)}`);
  if (bytes > PROMPT_MAX_BYTES)
    throw invalid(origin, 'prompt', `expected at most ${PROMPT_MAX_BYTES} bytes, found ${bytes}`);
  const odd = /(?![\t\r\n])[\p{Cc}\p{Cs}]/u.exec(prompt)?.[0];
  if (odd !== undefined) {
    const code = odd.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0');
    throw invalid(origin, 'prompt', `expected text, found the control character or half of a character U+${code}`);
  }
  return prompt;
}

/** Names are unique in a run. @throws InvalidInput naming both lines */
export function checkUniqueIds(records: readonly PromptRecord[]): void {
  const seen = new Map<string, Origin | undefined>();
  for (const { id, origin } of records) {
    if (id === undefined) continue;
    if (seen.has(id)) {
      throw invalid(
        origin,
        'id',
        `expected a name that no other line has, found ${quoted(id)} of line ${seen.get(id)?.line ?? '?'}`,
      );
    }
    seen.set(id, origin);
  }
}

/** An error about one field of one line; without an origin it is about the only one there is. */
export function invalid(origin: Origin | undefined, field: string, found: string): RefereeError {
  const where = origin ? `${origin.file}:${origin.line}: ` : '';
  return new RefereeError('InvalidInput', `${where}"${field}": ${found}`, { details: { field, ...origin } });
}

function recordError(issue: z.core.$ZodIssue, data: unknown, origin: Origin | undefined): RefereeError {
  if (issue.code === 'unrecognized_keys') {
    const field = issue.keys[0]!;
    const where = origin ? `${origin.file}:${origin.line}: ` : '';
    return new RefereeError(
      'InvalidInput',
      `${where}unknown field ${quoted(field)}${suggestion(field, RECORD_FIELDS)}`,
      {
        hint: 'fields of your own belong into "metadata"',
        details: { field, ...origin },
      },
    );
  }
  const found = issue.path.reduce<unknown>(valueAt, data);
  const field = issue.path.length === 0 ? 'record' : issue.path.join('.');
  return invalid(origin, field, `expected ${issue.message}, found ${found === undefined ? 'nothing' : quoted(found)}`);
}

function valueAt(value: unknown, key: PropertyKey): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined;
}
