/**
 * @file What the main thread and the device thread say to each other. Arrays travel by transfer, errors as plain data.
 */
import type { ErrorCode } from '../../errors.ts';
import type { DType, Tensor } from '../onnx/dtype.ts';
import type { MemoryMode, ProviderName, SessionOptions } from './device.ts';
import type { NodePlacement } from './placement.ts';

/** What the thread is started with. */
export interface DeviceSettings {
  readonly provider: ProviderName | 'auto';
  readonly threads: number;
  readonly memory: MemoryMode;
  /** Sessions tell which provider each of their nodes ran on, at some cost in time until they are asked. */
  readonly isProfiled?: boolean;
}

export interface ThreadData {
  readonly settings: DeviceSettings;
  /** See exit-guard.ts. */
  readonly guard: Int32Array;
}

/** An input or output as the model declares it; a symbolic dimension is its name, '' if it has none. */
export interface ValueMetadata {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly (number | string)[];
}

export type DeviceCall =
  | { readonly kind: 'load'; readonly model: Uint8Array; readonly options: SessionOptions }
  | {
      readonly kind: 'run';
      readonly session: number;
      readonly feeds: Readonly<Record<string, Tensor>>;
      readonly outputs: readonly string[];
    }
  | { readonly kind: 'release'; readonly session: number }
  | { readonly kind: 'placement' }
  | { readonly kind: 'close' };

export interface Answers {
  readonly load: {
    readonly session: number;
    readonly inputs: readonly ValueMetadata[];
    readonly outputs: readonly ValueMetadata[];
    readonly seconds: number;
  };
  readonly run: { readonly outputs: Record<string, Tensor>; readonly seconds: number };
  readonly placement: readonly NodePlacement[];
  readonly release: null;
  readonly close: null;
}

export interface ErrorData {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
  readonly details?: Readonly<Record<string, string | number>>;
}

/** To the thread. */
export interface Request {
  readonly id: number;
  readonly call: DeviceCall;
}

/** From the thread. The first message is `ready` or `failed`. */
export type Reply =
  | { readonly kind: 'ready'; readonly provider: ProviderName; readonly notes: readonly string[] }
  | { readonly kind: 'failed'; readonly error: ErrorData }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Answers[keyof Answers] }
  | { readonly kind: 'error'; readonly id: number; readonly error: ErrorData };
