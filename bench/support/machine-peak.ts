/**
 * @file The roofs of one thread: fused multiply-adds in registers, bytes to and from memory or the last
 * cache. Measured by a small C
 * program that is compiled for this very machine.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { z } from 'zod';

const run = promisify(execFile);
const source = fileURLToPath(new URL('../native/peak.c', import.meta.url));

const peakSchema = z.strictObject({
  /** FLOP/s of float32 multiply-adds, two operations each. */
  flops: z.number().positive(),
  /** Bytes/s of a triad over arrays that no cache holds. */
  bandwidth: z.number().positive(),
  /** Bytes/s of the same over 12 MB, which the last cache holds. */
  cache: z.number().positive(),
  /** Floats of the vectors that were used. */
  vector: z.int().positive(),
});

export type MachinePeak = z.output<typeof peakSchema>;

/** Some seconds. @throws where there is no C compiler `cc` */
export async function machinePeak(): Promise<MachinePeak> {
  const folder = await mkdtemp(join(tmpdir(), 'referee-peak-'));
  try {
    const program = join(folder, 'peak');
    await run('cc', ['-O3', '-march=native', '-ffp-contract=fast', source, '-o', program]);
    const { stdout } = await run(program);
    return peakSchema.parse(JSON.parse(stdout));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
