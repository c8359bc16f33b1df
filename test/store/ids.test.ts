import { createHash } from 'node:crypto';

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { canonicalJson, contentDigest, itemId, runId, sha256 } from '../../store/ids.ts';
import type { ItemContent } from '../../store/ids.ts';
import { asItemId } from '../../store/layout.ts';

const content: fc.Arbitrary<ItemContent> = fc.record({
  prompt: fc.string({ unit: 'binary' }),
  seed: fc.maxSafeNat(),
  options: fc.dictionary(
    fc.string(),
    fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.string(), fc.boolean()),
  ),
  packDigest: fc.stringMatching(/^[0-9a-f]{64}$/),
});

describe('canonical JSON', () => {
  test('sorts keys, at every depth, and drops undefined', () => {
    expect(canonicalJson({ b: [1, { z: null, y: 'é' }], a: undefined, A: true })).toBe(
      '{"A":true,"b":[1,{"y":"é","z":null}]}',
    );
  });

  test('reads back as the value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  test.each([Number.NaN, Infinity, 1n, () => 1, [undefined], Symbol('x')])('refuses %s', (value) => {
    expect(() => canonicalJson(value)).toThrow('canonical JSON cannot hold');
  });
});

describe('item ids', () => {
  test('are i and the first 20 digits of the digest of everything that determines the image', () => {
    const text =
      '{"contract":4,"options":{"method":"search","steps":64},"packDigest":"00","prompt":"a red circle","seed":7}';
    const digest = createHash('sha256').update(text).digest('hex');
    const item: ItemContent = {
      seed: 7,
      prompt: 'a red circle',
      packDigest: '00',
      options: { steps: 64, method: 'search' },
    };
    expect(contentDigest(item)).toBe(digest);
    expect(itemId(item)).toBe(`i${digest.slice(0, 20)}`);
  });

  test('do not depend on the order in which options were given', () => {
    fc.assert(
      fc.property(content, (item) => {
        const options = Object.fromEntries(Object.entries(item.options).reverse());
        expect(itemId({ ...item, options })).toBe(itemId(item));
      }),
    );
  });

  test('change with any field', () => {
    fc.assert(
      fc.property(content, content, fc.constantFrom('prompt', 'seed', 'packDigest'), (item, other, field) => {
        fc.pre(item[field] !== other[field]);
        expect(itemId({ ...item, [field]: other[field] })).not.toBe(itemId(item));
      }),
    );
  });

  test('change with any option: its value, its presence, its name', () => {
    fc.assert(
      fc.property(content, fc.string(), fc.double({ noNaN: true, noDefaultInfinity: true }), (item, name, value) => {
        fc.pre(item.options[name] !== value && !(item.options[name] === 0 && value === 0));
        const changed = { ...item, options: { ...item.options, [name]: value } };
        expect(itemId(changed)).not.toBe(itemId(item));
        expect(itemId({ ...item, options: { ...item.options, [`${name}'`]: value, [`${name}''`]: 1 } })).not.toBe(
          itemId(changed),
        );
      }),
    );
  });
});

test('run ids are r and 12 digits, and depend on the items and their order', () => {
  const [a, b] = [asItemId('ia'), asItemId('ib')];
  expect(runId([a, b])).toBe(`r${sha256('ia\nib').slice(0, 12)}`);
  expect(new Set([runId([a, b]), runId([b, a]), runId([a]), runId([a, b, b])]).size).toBe(4);
});
