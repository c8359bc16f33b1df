/**
 * @file What the driver's own tool tells of the memory of an NVIDIA GPU.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Memory of the first GPU that is taken by all processes together, bytes. */
export async function gpuMemory(): Promise<number> {
  const given = ['--query-gpu=memory.used', '--format=csv,noheader,nounits', '--id=0'];
  return Number((await promisify(execFile)('nvidia-smi', given)).stdout) * 2 ** 20;
}
