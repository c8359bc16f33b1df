import { expect, test } from 'vitest';

import { copyWindow, noiseBank, noiseBankLength } from '../../inversion/noise-bank.ts';

const bank = noiseBank(300);

test('the bank is standard normal and the same on every call', () => {
  const mean = bank.values.reduce((sum, value) => sum + value, 0) / bank.values.length;
  const square = bank.values.reduce((sum, value) => sum + value * value, 0) / bank.values.length;
  expect(Math.abs(mean)).toBeLessThan(4 / Math.sqrt(bank.values.length));
  expect(Math.abs(square - 1)).toBeLessThan(4 * Math.sqrt(2 / bank.values.length));
  expect(noiseBank(300).values.slice(0, 1000)).toEqual(bank.values.slice(0, 1000));
});

test('a bank holds sixteen windows within 4 to 64 MiB, and always two', () => {
  expect(noiseBankLength(3 * 64 * 64)).toBe(2 ** 20);
  expect(noiseBankLength(3 * 224 * 224)).toBe(16 * 150_528);
  expect(noiseBankLength(3 * 1024 * 1024)).toBe(2 ** 24);
  expect(noiseBankLength(2 ** 24)).toBe(2 ** 25);
});

test.each([
  ['first', Number.EPSILON, 0],
  ['last', 1 - 2 ** -25, bank.values.length - 300],
])('the %s window lies within the bank', (_, place, offset) => {
  const window = new Float32Array(300);
  copyWindow(bank, window, place, 0.25);
  expect(window).toEqual(bank.values.slice(offset, offset + 300));
});

test('the upper half of the second uniform turns the sign', () => {
  const [plain, turned] = [new Float32Array(300), new Float32Array(300)];
  copyWindow(bank, plain, 0.3, 0.49);
  copyWindow(bank, turned, 0.3, 0.51);
  expect(turned).toEqual(plain.map((value) => -value));
});
