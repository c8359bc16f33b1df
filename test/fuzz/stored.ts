/**
 * @file Properties of everything that is read back from a store: checkpoints, results, records of runs, keys.
 */
import fc from 'fast-check';

import { checkpointCodec } from '../../activities/checkpoint-codec.ts';
import { float32 } from '../../models/onnx/dtype.ts';
import { encodeCheckpoint, newestValid } from '../../store/checkpoint.ts';
import * as layout from '../../store/layout.ts';
import { MemoryStore } from '../../store/memory-store.ts';
import { parseResult, writeResult } from '../../store/result.ts';
import * as runs from '../../store/run.ts';
import { exampleResult } from '../store/result-example.ts';
import type { Fuzzed } from './inputs.ts';
import { altered, anyValue, damaged } from './mutations.ts';
import { accepted, acceptedLater } from './support.ts';

const run = layout.asRunId('r1');
const item = layout.asItemId('i1');
const owner = { specDigest: 'spec', packDigest: 'pack' };

const CHECKPOINT = encodeCheckpoint(checkpointCodec, {
  ...owner,
  step: 8,
  deviceClass: 'cpu',
  tensors: { latent: float32(new Array<number>(16).fill(0.5), [1, 4, 2, 2]), step: float32([8], [1]) },
});

const RESULT = exampleResult();
const RECORD = {
  v: 1,
  run: 'r1',
  items: 2,
  pack: { name: 'shapes', version: '1', digest: 'd' },
  versions: { referee: '0' },
};
const ROW = { index: 0, item: 'i1', prompt: 'a red circle', seed: 0, id: 'x', overrides: { steps: 2 }, tags: ['a'] };

function text(document: object): Uint8Array {
  return Buffer.from(`${JSON.stringify(document)}\n`);
}

/** A document with changed fields, or the same with damaged bytes. */
function hurt(document: Readonly<Record<string, unknown>>): fc.Arbitrary<Uint8Array> {
  return fc.oneof(
    altered(document).map(text),
    damaged(fc.constant(text(document))),
    anyValue.map((v) => text({ v })),
  );
}

/** A damaged checkpoint is passed over; what is accepted holds what was written, to the bit. */
async function checkpointIsWholeOrNone(bytes: Uint8Array): Promise<void> {
  const store = new MemoryStore();
  await store.put(layout.checkpointKey(run, item, 8), bytes);
  const found = await acceptedLater(() => newestValid(store, checkpointCodec, { run, item, owner }));
  if (!found?.checkpoint) return;
  const { tensors, step, deviceClass } = found.checkpoint;
  const again = encodeCheckpoint(checkpointCodec, { ...owner, step, deviceClass, tensors });
  if (Buffer.compare(again, CHECKPOINT) !== 0) throw new Error('a damaged checkpoint was taken for whole');
}

function resultIsParsedWhole(bytes: Uint8Array): void {
  const result = accepted(() => parseResult(Buffer.from(bytes).toString('utf8'), 'result.json'));
  if (result) accepted(() => parseResult(writeResult(result), 'result.json'));
}

/** Everything that reads a run, over one damaged file of it. */
async function runIsReadOrRefused(key: layout.ObjectKey, bytes: Uint8Array): Promise<void> {
  const store = new MemoryStore();
  await store.put(layout.runKey(run), text(RECORD));
  await store.put(layout.promptsKey(run, 0), text(ROW));
  await store.put(layout.itemKey(run, item, 'result.json'), writeResult(RESULT));
  await store.put(key, bytes);
  await acceptedLater(() => runs.readRun(store, run));
  await acceptedLater(() => runs.promptRows(store, run, { from: 0, count: 5 }));
  await acceptedLater(() => runs.readTrace(store, run, item));
  await acceptedLater(() => runs.readResult(store, run, item));
  await acceptedLater(() => runs.itemState(store, run, item));
  await acceptedLater(async () => {
    for await (const row of runs.readPrompts(store, run)) JSON.stringify(row);
  });
}

/** A key is one of ours exactly when building it from its parts gives it again. */
function keyIsOursOrNot(key: string): void {
  const parsed = layout.parseKey(key);
  if (parsed !== undefined && built(parsed) !== key)
    throw new Error(`${JSON.stringify(key)} is not what it is made of`);
  accepted(() => {
    try {
      layout.checkFolder(key);
    } catch {
      return;
    }
    if (key.includes('..') || key.startsWith('/')) throw new Error(`${JSON.stringify(key)} is no folder of the store`);
  });
}

function built(parsed: layout.ParsedKey): string {
  switch (parsed.kind) {
    case 'run':
      return layout.runKey(parsed.run);
    case 'manifest':
      return layout.manifestKey(parsed.run);
    case 'rejected':
      return layout.rejectedKey(parsed.run);
    case 'contact-sheet':
      return layout.contactSheetKey(parsed.run);
    case 'prompts':
      return layout.promptsKey(parsed.run, parsed.part);
    case 'item':
      return layout.itemKey(parsed.run, parsed.item, parsed.file);
    case 'checkpoint':
      return layout.checkpointKey(parsed.run, parsed.item, parsed.step);
    case 'preview':
      return layout.previewKey(parsed.run, parsed.item, parsed.step);
    case 'log':
      return layout.logKey(parsed.run, parsed.item, parsed.attempt);
  }
}

const VALID_KEYS = [
  layout.runKey(run),
  layout.promptsKey(run, 3),
  layout.itemKey(run, item, 'image.png'),
  layout.checkpointKey(run, item, 12),
  layout.previewKey(run, item, 12),
  layout.logKey(run, item, 'a1' as layout.AttemptId),
];
const keyText = fc.oneof(
  damaged(fc.constantFrom(...VALID_KEYS).map((key) => Buffer.from(key))).map((bytes) => Buffer.from(bytes).toString()),
  fc
    .array(fc.constantFrom('..', '.', '/', 'r1', 'items', 'i1', 'prompts', 'checkpoints', 'run.json', '\0', '\\'), {
      maxLength: 8,
    })
    .map((parts) => parts.join('')),
);

export function storedProperties(): Fuzzed[] {
  const damagedFile = fc.oneof(
    fc.tuple(fc.constant(layout.runKey(run)), hurt(RECORD)),
    fc.tuple(fc.constant(layout.promptsKey(run, 0)), hurt(ROW)),
    fc.tuple(fc.constant(layout.itemKey(run, item, 'trace.jsonl')), hurt({ step: 0, loss: 1 })),
    fc.tuple(fc.constant(layout.itemKey(run, item, 'result.json')), hurt(RESULT)),
  );
  return [
    {
      name: 'checkpoints',
      property: fc.asyncProperty(damaged(fc.constant(CHECKPOINT)), checkpointIsWholeOrNone),
    },
    { name: 'results', property: fc.property(hurt(RESULT), resultIsParsedWhole) },
    {
      name: 'records of runs',
      property: fc.asyncProperty(damagedFile, ([key, bytes]) => runIsReadOrRefused(key, bytes)),
    },
    { name: 'keys', property: fc.property(keyText, keyIsOursOrNot) },
  ];
}
