/**
 * @file `referee/store`: read what a run has written, or keep runs somewhere else. Loads no models.
 */
export { newestValid, pruneCheckpoints, writeCheckpoint } from './checkpoint.ts';
export type { Checkpoint, CheckpointCodec, CheckpointOwner, FoundCheckpoint, SkippedCheckpoint } from './checkpoint.ts';
export { FileStore } from './file-store.ts';
export { MemoryStore } from './memory-store.ts';
export { canonicalJson, itemId, runId, sha256 } from './ids.ts';
export type { ItemContent } from './ids.ts';
export * from './layout.ts';
export type { CallOptions, GetOptions, ObjectInfo, ObjectStore, PutOptions, StoreCheck } from './object-store.ts';
export { openStore } from './open-store.ts';
export { decodePng, encodePng, readPngText } from './png.ts';
export { toRgb8 } from './pixels.ts';
export type { Rgb8 } from './pixels.ts';
export { DIGITAL_SOURCE_TYPE, provenanceText } from './provenance.ts';
export type { Provenance } from './provenance.ts';
export { parseResult, resultSchema } from './result.ts';
export type { Result } from './result.ts';
export { S3Store } from './s3-store.ts';
export type { S3Options } from './s3-calls.ts';
export { itemState, itemStates, readPrompts, readResult, readRun, readTrace } from './run.ts';
export type { ItemState, PromptRow, RunRecord } from './run.ts';
