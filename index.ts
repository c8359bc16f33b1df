/**
 * @file `referee`: pictures of prompts from a program. Importing it loads no models, no runtime and no client of a server; the first call that
 * needs one does.
 */
export { invert } from './activities/library/invert.ts';
export type { InvertEvent, InvertSettings, InvertSpec } from './activities/library/invert.ts';
export { openRun } from './activities/library/open-run.ts';
export type { Run, RunPrompt, RunSettings } from './activities/library/open-run.ts';
export type { Finished } from './activities/library/readers.ts';
export type { ResultOrder } from './activities/library/results.ts';
export type { RunResult } from './activities/library/run-source.ts';
export type { PromptFields, SearchSettings } from './activities/library/settings.ts';
export type { RunEvent } from './activities/run-contract.ts';
export { connect } from './remote/connect.ts';
export type { ConnectSettings } from './remote/connect.ts';
export type { RemoteRun } from './remote/remote-run.ts';
export type { RunStatus } from './remote/status.ts';
export { ERROR_CODES, isRefereeError, RefereeError } from './errors.ts';
export type { ErrorCode } from './errors.ts';
export type { MethodOptions } from './inversion/options.ts';
export type { Tensor } from './models/onnx/dtype.ts';
export type { ProviderName } from './models/runtime/device.ts';
export type { ObjectStore } from './store/object-store.ts';
export type { Result } from './store/result.ts';
