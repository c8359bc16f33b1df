/**
 * @file Versions, processor, memory and temporary space of this machine, beside what a search needs.
 */
import { statfs } from 'node:fs/promises';
import { availableParallelism, cpus, freemem, tmpdir, totalmem } from 'node:os';
import { availableMemory, constrainedMemory } from 'node:process';

import { quoted } from '../../errors.ts';
import { versions } from '../versions.ts';
import type { Finding } from './finding.ts';
import { bytesText } from './finding.ts';

/** package.json, "engines". */
const OLDEST_NODE = [20, 19] as const;
/** Profiles, sockets and half-built programs; searches themselves write nothing there. */
const LEAST_TEMPORARY_BYTES = 200e6;

export function checkVersions(): Finding {
  const { referee, node, onnxruntime } = versions();
  const [major = 0, minor = 0] = node.split('.').map(Number);
  const isOld = major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1]);
  return {
    name: 'versions',
    state: isOld ? 'error' : 'ok',
    found: `referee ${referee}, node ${node}, onnxruntime ${onnxruntime}, ${process.platform} ${process.arch}`,
    ...(isOld && { fix: `install Node ${OLDEST_NODE.join('.')} or newer` }),
    facts: { referee, node, onnxruntime, platform: process.platform, arch: process.arch },
  };
}

export function checkProcessor(): Finding {
  const all = cpus();
  const model = all[0]?.model.trim() ?? 'unknown processor';
  const threads = availableParallelism();
  return {
    name: 'processor',
    state: 'ok',
    found: `${model}, ${threads} of ${all.length} threads may be used`,
    facts: { model, threads, installed: all.length },
  };
}

export interface Memory {
  readonly totalBytes: number;
  readonly freeBytes: number;
  /** Of the control group that the process is in, where it is below the machine's. */
  readonly limitBytes?: number;
}

export function memoryHere(): Memory {
  const [totalBytes, limit] = [totalmem(), constrainedMemory()];
  // Node before 20.13 does not know the second; without a limit the kernel answers a number near 2^63.
  const freeBytes = typeof availableMemory === 'function' ? availableMemory() : freemem();
  return { totalBytes, freeBytes, ...(limit > 0 && limit < totalBytes && { limitBytes: limit }) };
}

export interface Need {
  /** Estimated peak of a process. */
  readonly bytes: number;
  /** What for. */
  readonly text: string;
  /** All memory of the GPU that it is needed of, where the driver tells; else the machine's is meant. */
  readonly gpuBytes?: number;
}

/** @param need undefined where no provider or no pack works */
export function checkMemory(need: Need | undefined, { totalBytes, freeBytes, limitBytes } = memoryHere()): Finding {
  const limit = limitBytes === undefined ? '' : `, limited to ${bytesText(limitBytes)} for this process`;
  const gpu = need?.gpuBytes === undefined ? '' : ` of the GPU's ${bytesText(need.gpuBytes)}`;
  const needed = need === undefined ? '' : `; ${need.text} needs about ${bytesText(need.bytes)}${gpu}`;
  const [most, free] =
    need?.gpuBytes === undefined ? [limitBytes ?? totalBytes, freeBytes] : [need.gpuBytes, need.gpuBytes];
  const problem = need === undefined ? undefined : tooLittle(need.bytes, { most, free });
  return {
    name: 'memory',
    state: problem?.state ?? 'ok',
    found: `${bytesText(freeBytes)} free of ${bytesText(totalBytes)}${limit}${needed}`,
    ...(problem && { fix: problem.fix }),
    facts: {
      totalBytes,
      freeBytes,
      ...(limitBytes !== undefined && { limitBytes }),
      ...(need && { neededBytes: need.bytes }),
      ...(need?.gpuBytes !== undefined && { gpuBytes: need.gpuBytes }),
    },
  };
}

function tooLittle(
  bytes: number,
  { most, free }: { most: number; free: number },
): (Pick<Finding, 'state'> & { fix: string }) | undefined {
  if (bytes > most)
    return { state: 'error', fix: 'use fewer --lanes and --threads, or a machine or limit with more memory' };
  if (bytes > free) return { state: 'warning', fix: 'end other programs, or use fewer --lanes and --threads' };
  return undefined;
}

export async function checkTemporary(folder = tmpdir()): Promise<Finding> {
  const name = 'temporary space';
  try {
    const { bavail, bsize } = await statfs(folder);
    const freeBytes = bavail * bsize;
    const isFull = freeBytes < LEAST_TEMPORARY_BYTES;
    return {
      name,
      state: isFull ? 'warning' : 'ok',
      found: `${bytesText(freeBytes)} free in ${folder}`,
      ...(isFull && { fix: 'free some space there, or set TMPDIR to another folder' }),
      facts: { folder, freeBytes },
    };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    return {
      name,
      state: 'warning',
      found: `${quoted(folder)} cannot be looked at (${code})`,
      fix: 'set TMPDIR to a folder that is there',
    };
  }
}
