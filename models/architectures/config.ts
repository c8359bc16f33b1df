/**
 * @file Reading config.json files as the libraries write them: keys that nothing here depends on are passed over, a
 * setting that would change the computation and is not supported is one error that names its field.
 */
import { z } from 'zod';

import { RefereeError, quoted } from '../../errors.ts';
import { ACTIVATION_NAMES } from '../nn/activation.ts';

/** A whole number from 1. */
export const size = z.int().min(1);
export const positive = z.number().positive();
export const activationName = z.enum(ACTIVATION_NAMES as [string, ...string[]]);

/** A field with a default for both absent and null, as the libraries treat them. */
export function withDefault<S extends z.ZodType>(schema: S, value: z.output<S>): z.ZodType<z.output<S>> {
  return schema.nullish().transform((found) => found ?? value);
}

/** A setting of which only these values are supported; absent means the first. */
export function only<const V extends string | number | boolean>(...values: readonly [V, ...V[]]): z.ZodType<V> {
  return withDefault<z.ZodType<V>>(z.literal([...values]), values[0]);
}

/** A setting that must be absent or null. */
export const unset = z.null({ error: 'expected null' }).optional();

/** One value for every level of a network, or a list with one per level. */
export function perLevel<S extends z.ZodType>(schema: S): z.ZodUnion<readonly [S, z.ZodArray<S>]> {
  return z.union([schema, z.array(schema)], { error: 'expected one value or a list with one per block' });
}

/**
 * @param where begins the message: the file
 * @throws RefereeError `InvalidModel` that names the field, what was found and what was expected
 */
export function parseConfig<S extends z.ZodType>(schema: S, json: unknown, where: string): z.output<S> {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const path = issue?.path ?? [];
  const field = path.join('.');
  const place = field === '' ? where : `${where}: "${field}"`;
  throw new RefereeError('InvalidModel', `${place} is ${quoted(valueAt(json, path))}: ${expectation(issue)}`, {
    details: { file: where, field },
  });
}

/** An error about a field that only several fields together show to be wrong. */
export function configProblem(where: string, field: string, message: string): RefereeError {
  return new RefereeError('InvalidModel', `${where}: "${field}" ${message}`, { details: { file: where, field } });
}

function expectation(issue: z.core.$ZodIssue | undefined): string {
  if (issue?.code === 'invalid_value') return `expected ${issue.values.map((value) => quoted(value)).join(' or ')}`;
  if (issue?.code === 'invalid_type') return `expected ${issue.expected}`;
  return (issue?.message ?? 'not valid').replace(/^Invalid input: /, '');
}

function valueAt(json: unknown, path: readonly PropertyKey[]): unknown {
  let at = json;
  for (const key of path) {
    if (typeof at !== 'object' || at === null) return undefined;
    at = (at as Record<PropertyKey, unknown>)[key];
  }
  return at;
}
