/**
 * @file What the driver's own tool tells of an NVIDIA GPU.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Name of the first GPU. */
export function gpuName(): Promise<string> {
  return asked('name');
}

/** Memory of the first GPU that is taken by all processes together, bytes. */
export async function gpuMemory(): Promise<number> {
  return Number(await asked('memory.used')) * 2 ** 20;
}

async function asked(field: string): Promise<string> {
  const given = [`--query-gpu=${field}`, '--format=csv,noheader,nounits', '--id=0'];
  return (await promisify(execFile)('nvidia-smi', given)).stdout.trim();
}
