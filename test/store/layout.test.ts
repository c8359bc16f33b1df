import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import * as layout from '../../store/layout.ts';

const id = fc.stringMatching(/^[a-z0-9-]{1,64}$/);
const step = fc.integer({ min: 0, max: 999_999 });

describe('ids', () => {
  test.each([
    '../../x',
    '..',
    '.',
    '',
    'a/b',
    'a\\b',
    'A',
    'é',
    'a b',
    'a\0',
    'a\n',
    'x'.repeat(65),
    '%2e%2e',
    '~',
    'con:',
  ])('refuses %j', (text) => {
    expect(() => layout.asItemId(text)).toThrow(expect.objectContaining({ code: 'InvalidInput' }) as Error);
    expect(() => layout.runKey(text as layout.RunId)).toThrow('run id must be');
    expect(() => layout.itemKey(layout.asRunId('r1'), text as layout.ItemId, 'image.png')).toThrow('item id must be');
  });
});

test('keys are those of the documented layout', () => {
  const [run, item] = [layout.asRunId('r1'), layout.asItemId('i1')];
  expect([
    layout.runKey(run),
    layout.promptsKey(run, 0),
    layout.itemKey(run, item, 'spec.json'),
    layout.checkpointKey(run, item, 50),
    layout.itemKey(run, item, 'trace.jsonl'),
    layout.previewKey(run, item, 50),
    layout.itemKey(run, item, 'image.png'),
    layout.itemKey(run, item, 'result.json'),
    layout.manifestKey(run),
    layout.logKey(run, item, 'a1' as layout.AttemptId),
  ]).toEqual([
    'r1/run.json',
    'r1/prompts/part-00000.jsonl',
    'r1/items/i1/spec.json',
    'r1/items/i1/checkpoints/step-000050.safetensors',
    'r1/items/i1/trace.jsonl',
    'r1/items/i1/previews/step-000050.webp',
    'r1/items/i1/image.png',
    'r1/items/i1/result.json',
    'r1/manifest.jsonl',
    'r1/logs/i1/a1.jsonl',
  ]);
});

test('every key parses back to what it was built from', () => {
  fc.assert(
    fc.property(id, id, step, (runText, itemText, number) => {
      const [run, item] = [layout.asRunId(runText), layout.asItemId(itemText)];
      expect(layout.parseKey(layout.runKey(run))).toEqual({ kind: 'run', run });
      expect(layout.parseKey(layout.manifestKey(run))).toEqual({ kind: 'manifest', run });
      expect(layout.parseKey(layout.contactSheetKey(run))).toEqual({ kind: 'contact-sheet', run });
      expect(layout.parseKey(layout.promptsKey(run, number % 100_000))).toEqual({
        kind: 'prompts',
        run,
        part: number % 100_000,
      });
      expect(layout.parseKey(layout.itemKey(run, item, 'spec.json'))).toEqual({
        kind: 'item',
        run,
        item,
        file: 'spec.json',
      });
      expect(layout.parseKey(layout.checkpointKey(run, item, number))).toEqual({
        kind: 'checkpoint',
        run,
        item,
        step: number,
      });
      expect(layout.parseKey(layout.previewKey(run, item, number))).toEqual({
        kind: 'preview',
        run,
        item,
        step: number,
      });
      const attempt = itemText as layout.AttemptId;
      expect(layout.parseKey(layout.logKey(run, item, attempt))).toEqual({ kind: 'log', run, item, attempt });
    }),
  );
});

test('steps sort as text as they do as numbers', () => {
  fc.assert(
    fc.property(step, step, (a, b) => {
      const key = (n: number): string => layout.checkpointKey(layout.asRunId('r'), layout.asItemId('i'), n);
      expect(key(a) < key(b)).toBe(a < b);
    }),
  );
});

test.each([-1, 1.5, Number.NaN, 1e6])('no key has step %d', (n) => {
  expect(() => layout.checkpointKey(layout.asRunId('r'), layout.asItemId('i'), n)).toThrow('whole number');
});

test('folders are those of the layout', () => {
  const [run, item] = [layout.asRunId('r1'), layout.asItemId('i1')];
  const folders = [
    layout.runFolder(run),
    layout.promptsFolder(run),
    layout.itemsFolder(run),
    layout.itemFolder(run, item),
  ];
  const ofItem = [layout.checkpointsFolder(run, item), layout.previewsFolder(run, item)];
  for (const folder of ['', ...folders, ...ofItem, layout.logsFolder(run), layout.logsFolder(run, item)]) {
    expect(layout.isFolder(folder), folder).toBe(true);
    expect(() => layout.checkFolder(folder)).not.toThrow();
  }
  for (const text of ['/', 'r1', '../', 'r1/other/', 'r1/logs/i1/more/', 'r1/items/i1/logs/', 'R1/']) {
    expect(layout.isFolder(text), text).toBe(false);
    expect(() => layout.checkFolder(text)).toThrow('not a folder of the store');
  }
});

test('an attempt whose id could be a path has no key', () => {
  const [run, item] = [layout.asRunId('r1'), layout.asItemId('i1')];
  expect(() => layout.logKey(run, item, '../x' as layout.AttemptId)).toThrow('attempt id must be');
});

test('other text is no key', () => {
  for (const text of [
    '',
    'r1',
    'r1/',
    'r1/other',
    '../run.json',
    'r1/items/i1/image.png/x',
    'r1/items/i1/.tmp-1',
    'r1/logs/a1.jsonl',
    'r1/logs/i1/a1.json',
    '/r1/run.json',
  ]) {
    expect(layout.parseKey(text)).toBeUndefined();
  }
});
