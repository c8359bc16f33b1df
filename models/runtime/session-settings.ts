/**
 * @file Options of an onnxruntime session: the provider alone, results that repeat, memory, and where weights may lie.
 */
import type { InferenceSession } from 'onnxruntime-node';

import type { MemoryMode, ProviderName } from './device.ts';

export interface SessionSettings {
  readonly provider: ProviderName;
  readonly threads: number;
  readonly memory: MemoryMode;
  readonly weightsRoot?: string;
  /** Refuse a graph of which the provider cannot run every node, instead of giving the rest to the CPU. */
  readonly isStrict?: boolean;
  /** Where the runtime writes down what ran where: the beginning of a file's path. */
  readonly profile?: string;
}

/** Errors come as exceptions; onnxruntime need not print them as well. */
const LOG_FATAL = 4;

export function sessionOptions({
  provider,
  threads,
  memory,
  weightsRoot,
  isStrict = false,
  profile,
}: SessionSettings): InferenceSession.SessionOptions {
  return {
    executionProviders: [provider],
    graphOptimizationLevel: 'all',
    executionMode: 'sequential',
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    enableCpuMemArena: memory === 'fast',
    // A pattern lays out a second block beside the one that the first run took, and both are kept: a third more memory
    // with eight lanes, twice as much activations at 256 pixels, for a percent of a small graph's time.
    enableMemPattern: false,
    logSeverityLevel: LOG_FATAL,
    ...(profile !== undefined && { enableProfiling: true, profileFilePrefix: profile }),
    extra: {
      session: {
        use_deterministic_compute: '1',
        // Threads that spin for the next run take the cores from the other sessions and from other processes: with
        // both cores of a machine busy, two threads took 38 ms a pair of runs spinning and 26 ms not.
        intra_op: { allow_spinning: '0' },
        // Without a root, external data is looked for inside a file, where nothing can be: left out, onnxruntime would
        // take the working directory.
        model_external_initializers_file_folder_path: weightsRoot ?? process.execPath,
        ...(isStrict ? { disable_cpu_ep_fallback: '1' } : {}),
      },
    },
  };
}
