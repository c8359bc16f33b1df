/**
 * @file What runs graphs, seen from outside: a device loads models and runs them. No Node here: the search is written
 * against these types, whatever executes them.
 */
import type { Tensor } from '../onnx/dtype.ts';

/** Execution providers of onnxruntime that referee knows how to ask for. */
export type ProviderName = 'cpu' | 'cuda' | 'tensorrt' | 'webgpu' | 'dml' | 'coreml';

/** How much memory onnxruntime may keep between runs: `fast` keeps its arena, `small` gives everything back. */
export type MemoryMode = 'fast' | 'small';

export interface SessionOptions {
  /** Name in statistics and errors. */
  readonly name: string;
  /** Default: that of the device. */
  readonly memory?: MemoryMode;
  /**
   * Folder that the locations of external data are relative to. Give it for graphs that were built here only: with "/"
   * a graph may read any file. Without it, external data is refused.
   */
  readonly weightsRoot?: string;
}

export interface Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /**
   * Runs the graph once. Feeds are copied, so the caller keeps its arrays.
   *
   * @param outputs names of the outputs to compute and return, default all
   * @throws RefereeError `InvalidInput` for a feed that is missing, unknown, or of a wrong dtype or shape; `InvalidModel`
   * when the graph itself fails; `OutOfMemory`; `DeviceLost` when the device is gone
   */
  run(feeds: Readonly<Record<string, Tensor>>, outputs?: readonly string[]): Promise<Record<string, Tensor>>;
  /** Frees the session's memory. Releasing twice is fine. */
  release(): Promise<void>;
}

export interface SessionStats {
  readonly calls: number;
  /** Seconds inside the runtime, all calls together. */
  readonly seconds: number;
  /** Seconds of loading: parsing, optimising, reading the weights. */
  readonly loadSeconds: number;
}

export interface DeviceStats {
  /** By session name; sessions of one name are counted together, released ones included. */
  readonly sessions: Readonly<Record<string, SessionStats>>;
  /** Resident memory of the process, bytes. */
  readonly residentBytes: number;
}

export interface Device {
  readonly provider: ProviderName;
  /** Threads inside one operator; 1 or more. */
  readonly threads: number;
  /**
   * Makes a session of a serialised ONNX model.
   *
   * @throws RefereeError, naming the session: `InvalidModel`; `UnsupportedOperator` for a node that the provider and the
   * CPU have no kernel for; `OutOfMemory`
   */
  load(model: Uint8Array, options: SessionOptions): Promise<Session>;
  stats(): Promise<DeviceStats>;
  /** Releases every session and ends the device. Calls after it reject with `DeviceLost`. */
  close(): Promise<void>;
}
