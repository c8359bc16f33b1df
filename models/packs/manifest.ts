/**
 * @file What a pack is: a folder with checkpoints and a `manifest.json` that names them, gives each a role, and carries
 * defaults, licences and the digest of every file. The pack's own digest is that of its manifest.
 */
import { createHash } from 'node:crypto';

import { z } from 'zod';

import { RefereeError, quoted } from '../../errors.ts';

/** A path inside the pack: forward slashes, no way out. */
const innerPath = z
  .string()
  .min(1)
  .max(255)
  .regex(/^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/, 'a path of letters, digits, ".", "_", "-" below the pack folder')
  .refine((path) => !path.split('/').includes('..'), 'a path below the pack folder');

const textPart = z.strictObject({
  folder: innerPath.describe('checkpoint in the layout of Hugging Face: config.json and safetensors'),
  tokenizer: innerPath.describe('folder with tokenizer.json'),
  tokens: z.int().min(2).max(4096).describe('length of a token sequence, special tokens included'),
});

export const ManifestSchema = z.strictObject({
  format: z.literal(1),
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/),
  version: z.string().min(1).max(32),
  title: z.string().min(1).max(200),
  /** SPDX identifier and where each part's terms are written. */
  licence: z.strictObject({ spdx: z.string().min(1), parts: z.record(z.string(), z.string()) }),
  size: z.strictObject({ width: z.int().min(8).max(4096), height: z.int().min(8).max(4096) }),
  parts: z.strictObject({
    decoder: z.strictObject({ folder: innerPath }),
    unet: z.strictObject({ folder: innerPath }),
    scheduler: innerPath.describe('scheduler_config.json'),
    textEncoder: textPart,
    referee: textPart.extend({
      kind: z.literal('blip2'),
      preprocessor: innerPath.describe('preprocessor_config.json: mean and deviation of the image'),
      /** Token that takes the place of the first one for text generation. */
      decoderStart: z.string().min(1),
    }),
  }),
  /** Rules that judge finished pictures, where there are some for this world. */
  judge: z.enum(['shapes']).optional(),
  /** Whether a word that the tokenizer does not know is an error: true for closed vocabularies. */
  closedVocabulary: z.boolean(),
  /** Options of the method that differ from the general defaults. */
  defaults: z.record(z.string(), z.union([z.number(), z.string(), z.boolean()])),
  files: z
    .array(z.strictObject({ path: innerPath, bytes: z.int().min(0), sha256: z.string().regex(/^[0-9a-f]{64}$/) }))
    .min(1),
});

export type Manifest = z.infer<typeof ManifestSchema>;

/** Parses the text of a manifest. Errors name `file`, the field, what was found and what was expected. */
export function parseManifest(text: string, file: string): Manifest {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new RefereeError('InvalidPack', `${file}: expected JSON, found ${cause instanceof Error ? cause.message : 'other text'}`, { cause });
  }
  const parsed = ManifestSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const field = issue.path.join('.') || 'the document';
  throw new RefereeError('InvalidPack', `${file}: "${field}": ${issue.message}, found ${quoted(at(json, issue.path))}`, {
    details: { file, field },
  });
}

/** sha256 of the manifest's contents, whatever the order of its keys: it covers every file through their digests. */
export function manifestDigest(manifest: Manifest): string {
  return createHash('sha256').update(canonical(manifest)).digest('hex');
}

function at(json: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => (typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined), json);
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(',')}}`;
  }
  return JSON.stringify(value);
}
