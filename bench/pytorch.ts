/**
 * @file A Python process with PyTorch that answers lines with lines. Where no interpreter is given, one is made in a cache
 * folder, with torch, numpy and safetensors from the package index.
 */
import { execFile, spawn } from 'node:child_process';
import { access, mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { z } from 'zod';

export type PyTorchMode = 'eager' | 'compile';

const errorSchema = z.strictObject({ error: z.string() });

export interface PyTorch extends AsyncDisposable {
  readonly version: string;
  /** One line of the script's answers, or the error that it met. */
  readonly ask: <S extends z.ZodType>(
    request: Readonly<Record<string, string>>,
    schema: S,
  ) => Promise<z.output<S> | z.output<typeof errorSchema>>;
}

/** Starts `bench/pytorch/<script>`. */
export async function openPyTorch(script: string, python?: string): Promise<PyTorch> {
  const path = fileURLToPath(new URL(`./pytorch/${script}`, import.meta.url));
  const child = spawn(python ?? (await ownPython()), [path], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<unknown> => {
    const line = await lines.next();
    if (line.done === true) throw new Error(`${path} ended without an answer`);
    return JSON.parse(line.value);
  };
  const { torch } = z.strictObject({ torch: z.string() }).parse(await next());
  return {
    version: torch,
    ask: async (request, schema) => {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      return z.union([errorSchema, schema]).parse(await next());
    },
    [Symbol.asyncDispose]: () => {
      child.stdin.end();
      return new Promise((resolve) => {
        if (child.exitCode !== null) resolve();
        else child.once('exit', () => resolve());
      });
    },
  };
}

async function ownPython(): Promise<string> {
  const folder = join(homedir(), '.cache', 'referee-bench', 'python');
  const python = join(folder, 'bin', 'python');
  const run = promisify(execFile);
  const isThere = await access(python).then(
    () => true,
    () => false,
  );
  if (!isThere) {
    await mkdir(folder, { recursive: true });
    await run('python3', ['-m', 'venv', folder]);
  }
  const hasTorch = await run(python, ['-c', 'import torch, safetensors']).then(
    () => true,
    () => false,
  );
  if (!hasTorch) {
    process.stderr.write(`installing torch into ${folder}\n`);
    await run(python, ['-m', 'pip', 'install', '--quiet', 'torch', 'safetensors', 'numpy']);
  }
  return python;
}
