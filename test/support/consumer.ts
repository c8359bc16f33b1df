/**
 * @file Programs of somebody who has installed referee: run in a folder of their own, where the built package is linked
 * under `node_modules`.
 */
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { execa } from 'execa';

import { temporaryFolder } from './folder.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** No program of the tests takes as long; one that hangs is killed and fails. */
const DEADLINE_MS = 120_000;

export interface ConsumerRun {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number | undefined;
  readonly folder: string;
}

/** Writes `files` and runs the first one with Node. */
export async function runConsumer(files: Readonly<Record<string, string>>, argv: string[] = []): Promise<ConsumerRun> {
  const folder = await temporaryFolder();
  await mkdir(join(folder, 'node_modules'));
  await symlink(root, join(folder, 'node_modules/referee'), 'dir');
  // What the pages tell them to install besides.
  await symlink(join(root, 'node_modules/onnxruntime-node'), join(folder, 'node_modules/onnxruntime-node'), 'dir');
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  const [main] = Object.keys(files);
  const run = { cwd: folder, reject: false, timeout: DEADLINE_MS } as const;
  const { stdout, stderr, exitCode } = await execa('node', [main!, ...argv], run);
  return { stdout, stderr, exitCode, folder };
}
