import fc from 'fast-check';
import { expect, test } from 'vitest';

import { RefereeError } from '../../errors.ts';
import { inputProperties } from './inputs.ts';
import { damaged } from './mutations.ts';
import { storedProperties } from './stored.ts';
import { accepted } from './support.ts';

/** Of each property; `npm run fuzz` takes a hundred thousand. */
const CASES = 500;

test.each([...(await inputProperties()), ...storedProperties()])(
  '$name: whatever they hold, they are read or refused in one line',
  async ({ property }) => {
    await fc.assert(property as fc.IAsyncProperty<unknown>, { numRuns: CASES });
  },
);

test('the properties can fail: another error, two lines, or a bug of ours is none that people should see', () => {
  const parseNothing = (): unknown => JSON.parse('{');
  expect(() => accepted(parseNothing)).toThrow(SyntaxError);
  const refused = (code: 'InvalidInput' | 'Internal', message: string) => () =>
    accepted((): string => {
      throw new RefereeError(code, message);
    });
  expect(refused('InvalidInput', 'a\nb')).toThrow('not one plain line');
  expect(refused('Internal', 'a')).toThrow('a');
  expect(refused('InvalidInput', 'a')()).toBeUndefined();
});

test('damage is damage', () => {
  const document = Buffer.from('a document of some length');
  const all = fc.sample(damaged(fc.constant(document)), 200);
  expect(all.filter((bytes) => Buffer.compare(bytes, document) !== 0).length).toBeGreaterThan(150);
});
