/**
 * @file What a folder of recordings states of its own accuracy: `index.json` beside the folder or in it, with the errors of
 * a float32 program against the recorded float64 numbers.
 */
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { z } from 'zod';

import type { Compared } from './comparison.ts';

const error = z.looseObject({ max_abs: z.number() });
const entry = z.looseObject({
  float32_error: z.looseObject({
    free_running_z_by_step: z.array(z.number()).optional(),
    one_step_from_stored_z: z.record(z.string(), error).optional(),
  }),
});

export type StatedErrors = (quantity: string, mode: Compared['mode'], step?: number) => number | undefined;

/** A function that answers undefined where nothing is stated, as for a folder without an index. */
export async function statedErrors(folder: string, file: string): Promise<StatedErrors> {
  for (const place of [join(folder, 'index.json'), join(folder, '..', 'index.json')]) {
    const index = await readIndex(place);
    const found = index?.[basename(folder)] ?? index;
    const parsed = entry.safeParse(found?.[file]);
    if (!parsed.success) continue;
    const { free_running_z_by_step: free, one_step_from_stored_z: single } = parsed.data.float32_error;
    return (quantity, mode, step) => {
      if (mode === 'step') return single?.[quantity]?.max_abs;
      return mode === 'free' && quantity === 'z' && step !== undefined ? free?.[step] : undefined;
    };
  }
  return () => undefined;
}

async function readIndex(place: string): Promise<Record<string, Record<string, unknown>> | undefined> {
  try {
    return z.record(z.string(), z.record(z.string(), z.unknown())).safeParse(JSON.parse(await readFile(place, 'utf8')))
      .data;
  } catch {
    return undefined;
  }
}
