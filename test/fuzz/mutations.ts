/**
 * @file Valid documents with damage: what truncated uploads, bad disks, editors and enemies make of a file.
 */
import fc from 'fast-check';

type Damage =
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number }
  | { readonly kind: 'cut'; readonly at: number }
  | { readonly kind: 'insert'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'drop'; readonly at: number; readonly count: number };

/** Places are fractions, since the document's length is not known yet. */
const place = fc.double({ min: 0, max: 1, noNaN: true });
const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), at: place, bit: fc.nat(7) }),
  fc.record({ kind: fc.constant('cut' as const), at: place }),
  fc.record({ kind: fc.constant('insert' as const), at: place, bytes: fc.uint8Array({ minLength: 1, maxLength: 9 }) }),
  fc.record({ kind: fc.constant('drop' as const), at: place, count: fc.integer({ min: 1, max: 40 }) }),
);

/** `document` with one to four damages, or bytes that have nothing to do with it. */
export function damaged(document: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  const hurt = fc
    .tuple(document, fc.array(damage, { minLength: 1, maxLength: 4 }))
    .map(([bytes, all]) => all.reduce(applied, bytes));
  return fc.oneof({ weight: 9, arbitrary: hurt }, { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }) });
}

function applied(bytes: Uint8Array, of: Damage): Uint8Array {
  const at = Math.floor(of.at * bytes.length);
  switch (of.kind) {
    case 'flip': {
      const copy = bytes.slice();
      if (at < copy.length) copy[at]! ^= 1 << of.bit;
      return copy;
    }
    case 'cut':
      return bytes.slice(0, at);
    case 'insert':
      return Buffer.concat([bytes.subarray(0, at), of.bytes, bytes.subarray(at)]);
    case 'drop':
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + of.count)]);
  }
}

const EXTREMES: readonly unknown[] = [
  ...[null, '', ' ', 0, -0, -1, 0.5, 1e308, 2 ** 53, -(2 ** 53), true, [], {}],
  ...['../x', '/etc/passwd', 'a/b', 'a\\b', '\u2028', '\u0000', '\ud800', 'x'.repeat(300), '\u001b[31m'],
];

/** Any JSON value, extremes often. */
export const anyValue = fc.oneof(fc.constantFrom(...EXTREMES), fc.jsonValue());

/** An object of the given fields, some of them left out, replaced by anything, or joined by fields nobody knows. */
export function altered(valid: Readonly<Record<string, unknown>>): fc.Arbitrary<Record<string, unknown>> {
  const names = Object.keys(valid);
  return fc
    .record({
      changed: fc.dictionary(fc.constantFrom(...names), anyValue, { maxKeys: 3 }),
      dropped: fc.subarray(names, { maxLength: 2 }),
      added: fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', 'toString')), anyValue, {
        maxKeys: 2,
      }),
    })
    .map(({ changed, dropped, added }) => {
      const entries = Object.entries({ ...valid, ...changed, ...added }).filter(([name]) => !dropped.includes(name));
      return Object.fromEntries(entries);
    });
}
