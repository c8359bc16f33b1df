/**
 * @file `result.json`, which is also a row of `manifest.jsonl`: everything that is known about one finished item.
 * Versioned: a field may be added within a version, never renamed, retyped or removed.
 */
import { z } from 'zod';

import { RefereeError, quoted } from '../errors.ts';

export const RESULT_VERSION = 1;

const digest = z.string().regex(/^[0-9a-f]{64}$/);

export const resultSchema = z.object({
  v: z.literal(RESULT_VERSION),
  run: z.string(),
  item: z.string(),
  index: z.int().min(0).describe('place in the input, from 0'),
  id: z.string().optional().describe("the user's own name of the item"),
  state: z.enum(['succeeded', 'failed']),
  prompt: z.string(),
  negative: z.string().optional(),
  seed: z.int().min(0),
  method: z.string(),
  width: z.int().positive(),
  height: z.int().positive(),
  settings: z.record(z.string(), z.unknown()).describe('every option, resolved'),
  scores: z.record(z.string(), z.number()).describe("each referee's and judge's final score by name"),
  steps: z.int().min(0).describe('steps done'),
  attempts: z.int().min(1).describe('processes that worked on it'),
  seconds: z.number().min(0).describe('time of work over all attempts'),
  provider: z.string(),
  devices: z.array(z.string()),
  pack: z.object({ name: z.string(), version: z.string(), digest }),
  digests: z.object({
    spec: digest,
    image: digest.optional().describe('of the bytes of image.png'),
    latent: digest.optional().describe('of the float32 values of the final latent'),
  }),
  licences: z.array(z.object({ part: z.string(), licence: z.string() })),
  licence: z.string().describe('the most restrictive of them'),
  versions: z.record(z.string(), z.string()).describe('of referee, node, onnxruntime'),
  reproducibility: z.string(),
  error: z.object({ code: z.string(), message: z.string(), hint: z.string().optional() }).optional(),
  parents: z.array(z.string()).describe('items that this one repeats with other settings'),
  flags: z.array(z.string()),
  tags: z.array(z.string()),
  metadata: z.record(z.string(), z.unknown()).describe("the user's own, untouched"),
});

export type Result = z.infer<typeof resultSchema>;

/** The statement that every result carries. */
export const REPRODUCIBILITY =
  'same pack, provider, hardware class and library versions give the same bytes, whatever the neighbours, ' +
  'interruptions or number of workers; other hardware gives the same random numbers and a visually close image';

/** One JSON document with a final newline, fields in the order of the schema. */
export function writeResult(result: Result): string {
  return `${JSON.stringify(resultSchema.parse(result))}\n`;
}

/** @throws InvalidStore naming `where`, the field and what was found */
export function parseResult(text: string, where: string): Result {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (cause) {
    throw new RefereeError('InvalidStore', `${where}: not JSON: ${quoted(text)}`, { cause, details: { file: where } });
  }
  const parsed = resultSchema.safeParse(data);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const field = issue.path.join('.');
  throw new RefereeError('InvalidStore', `${where}: "${field}": ${issue.message}`, { details: { file: where, field } });
}
