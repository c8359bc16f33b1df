/**
 * @file Properties of everything that people send: lines of prompts, and the ids that name runs and items.
 */
import { isAbsolute, relative, resolve, sep } from 'node:path';

import fc from 'fast-check';

import { PromptTokenizer } from '../../activities/prompts.ts';
import type { PromptRecord } from '../../activities/records.ts';
import { packDefaults, resolveItem } from '../../activities/specs.ts';
import { parseJsonl } from '../../cli/input/jsonl.ts';
import { parseText } from '../../cli/input/text.ts';
import { SHAPES_DEFAULTS } from '../../inversion/options.ts';
import { openPack } from '../../models/packs/resolve.ts';
import { FileStore } from '../../store/file-store.ts';
import * as layout from '../../store/layout.ts';
import { parseS3Location } from '../../store/s3-location.ts';
import { batchId, inversionId, isDeviceClass, runOfBatch } from '../../workflows/ids.ts';
import { altered, anyValue, damaged } from './mutations.ts';
import { accepted } from './support.ts';

/** Of a name: given to fast-check with a number of cases. */
export interface Fuzzed {
  readonly name: string;
  readonly property: fc.IAsyncProperty<unknown> | fc.IProperty<unknown>;
}

const ROOT = resolve('/store');
const store = new FileStore(ROOT);

/** Texts that want to be paths, and texts that nearly are ids. */
const idText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.stringMatching(/^[a-z0-9-]{0,70}$/),
  fc
    .array(fc.constantFrom('..', '.', '/', '\\', '%2e', '%2f', '~', ':', 'C:', '\0', 'a', 'r1', ' ', '\n', '\u2025'), {
      maxLength: 6,
    })
    .map((parts) => parts.join('')),
);

/** Inside `root` and not `root` itself. */
function isBelow(path: string, root: string): boolean {
  const way = relative(root, path);
  return way !== '' && !isAbsolute(way) && way !== '..' && !way.startsWith(`..${sep}`);
}

function check(isTrue: boolean, what: string): void {
  if (!isTrue) throw new Error(what);
}

const VALID_RECORD: Readonly<Record<string, unknown>> = {
  prompt: 'a red circle to the left of a blue square',
  id: 'cat-1',
  seeds: [1, 2],
  width: 64,
  height: 64,
  tags: ['a'],
  metadata: { row: 1 },
  ...SHAPES_DEFAULTS,
};

const recordLine = fc.oneof(
  altered(VALID_RECORD).map((record) => JSON.stringify(record)),
  anyValue.map((value) => JSON.stringify(value)),
  altered({ custom_id: 'a', body: { prompt: 'a red circle' } }).map((record) => JSON.stringify(record)),
  altered({ custom_id: 'a', params: { prompt: 'a red circle' } }).map((record) => JSON.stringify(record)),
);

const recordFile = damaged(
  fc.array(recordLine, { minLength: 1, maxLength: 3 }).map((lines) => Buffer.from(lines.join('\n'))),
);

/** The whole way of a line: parsed, resolved, named. The ids must be ids, whatever it says. */
export async function inputProperties(): Promise<Fuzzed[]> {
  const pack = await openPack('shapes');
  const context = { pack, tokenizer: await PromptTokenizer.open(pack), defaults: packDefaults(pack) };

  const resolved = (record: PromptRecord): void => {
    for (const seed of record.seeds?.slice(0, 2) ?? [0]) {
      const { prompt, id, overrides, tags, metadata } = record;
      const request = { index: 0, prompt, seed, overrides, tags, metadata, ...(id !== undefined && { id }) };
      const spec = accepted(() => resolveItem(request, context));
      if (spec) check(/^[a-z0-9-]{1,64}$/.test(spec.item), `an item named ${spec.item}`);
    }
  };
  const read = (parse: typeof parseJsonl, bytes: Uint8Array): void => {
    const parsed: PromptRecord[] = [];
    accepted(() => {
      for (const record of parse(bytes, 'prompts', () => undefined)) parsed.push(record);
    });
    for (const record of parsed) resolved(record);
  };
  return [
    { name: 'lines of JSON', property: fc.property(recordFile, (bytes) => read(parseJsonl, bytes)) },
    {
      name: 'lines of text',
      property: fc.property(damaged(fc.string({ unit: 'binary' }).map((text) => Buffer.from(text))), (bytes) =>
        read(parseText, bytes),
      ),
    },
    {
      name: 'records',
      property: fc.property(altered(VALID_RECORD), (record) => read(parseJsonl, Buffer.from(JSON.stringify(record)))),
    },
    { name: 'run ids', property: fc.property(idText, runIdStaysInside) },
    { name: 'item ids', property: fc.property(idText, itemIdStaysInside) },
    { name: 'places of stores', property: fc.property(fc.tuple(idText, idText), s3PrefixStaysInside) },
  ];
}

function runIdStaysInside(text: string): void {
  const run = accepted(() => layout.asRunId(text));
  check(isDeviceClass(text) === /^[a-z0-9-]{1,32}$/.test(text), `a class of devices ${JSON.stringify(text)}`);
  if (run === undefined) {
    check(runOfBatch(`batch:${text}`) === undefined, `a batch of run ${JSON.stringify(text)}`);
    return;
  }
  check(runOfBatch(batchId(run)) === run, 'the way back from a workflow id');
  const keys = [layout.runKey(run), layout.promptsKey(run, 0), layout.manifestKey(run), layout.contactSheetKey(run)];
  for (const key of [...keys, layout.rejectedKey(run)]) {
    check(layout.parseKey(key)?.run === run, `the way back from ${key}`);
    check(isBelow(store.locate(key), resolve(ROOT, run)), `${key} leaves the run`);
  }
}

function itemIdStaysInside(text: string): void {
  const item = accepted(() => layout.asItemId(text));
  if (item === undefined) return;
  const run = layout.asRunId('r1');
  check(/^[a-z0-9:-]+$/.test(inversionId(run, item)), 'a workflow id');
  const files = (['spec.json', 'result.json', 'trace.jsonl', 'image.png'] as const).map((file) =>
    layout.itemKey(run, item, file),
  );
  for (const key of [...files, layout.checkpointKey(run, item, 1), layout.previewKey(run, item, 1)]) {
    const parsed = layout.parseKey(key);
    check(parsed !== undefined && 'item' in parsed && parsed.item === item, `the way back from ${key}`);
    check(isBelow(store.locate(key), resolve(ROOT, run, 'items', item)), `${key} leaves the item`);
  }
}

function s3PrefixStaysInside([bucket, rest]: readonly [string, string]): void {
  const location = accepted(() => parseS3Location(`s3://${bucket}/${rest}`));
  if (location === undefined) return;
  check(/^[a-z0-9.-]+$/.test(location.bucket), `a bucket ${location.bucket}`);
  check(!location.prefix.split('/').some((part) => part === '..' || part === '.'), `a prefix ${location.prefix}`);
}
