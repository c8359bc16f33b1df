import { expect, test } from 'vitest';

import { parseResult, writeResult } from '../../store/result.ts';
import { exampleResult } from './result-example.ts';

test("a result reads back as it was written, the user's metadata untouched", () => {
  const result = exampleResult({ id: '../../x', error: { code: 'NonFinite', message: 'step 3' } });
  const text = writeResult(result);
  expect(text).toMatch(/^[^\n]+\n$/);
  expect(parseResult(text, 'result.json')).toEqual(result);
});

test('fields that a later version adds are no error', () => {
  expect(parseResult(JSON.stringify({ ...exampleResult(), novel: 1 }), 'x')).toEqual(exampleResult());
});

test.each([
  ['{"v":1', 'result.json: not JSON: "{\\"v\\":1"'],
  [JSON.stringify({ ...exampleResult(), v: 2 }), 'result.json: "v": '],
  [JSON.stringify({ ...exampleResult(), digests: { spec: 'short' } }), 'result.json: "digests.spec": '],
])('what is not a result is one line: %#', (text, message) => {
  expect(() => parseResult(text, 'result.json')).toThrow(
    expect.objectContaining({ code: 'InvalidStore', message: expect.stringContaining(message) as string }) as Error,
  );
});
