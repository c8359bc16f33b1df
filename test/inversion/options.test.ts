import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { isRefereeError, type RefereeError } from '../../errors.ts';
import {
  MethodOptions,
  OPTION_NAMES,
  optionFromText,
  overridesOf,
  resolveOptions,
  SD15_DEFAULTS,
  SHAPES_DEFAULTS,
} from '../../inversion/options.ts';

function errorOf(work: () => unknown): RefereeError {
  try {
    work();
  } catch (error) {
    if (isRefereeError(error)) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('defaults', () => {
  test('both sets satisfy the schema and the rules between fields', () => {
    for (const defaults of [SD15_DEFAULTS, SHAPES_DEFAULTS]) {
      expect(MethodOptions.parse(defaults)).toEqual(defaults);
      expect(resolveOptions(defaults)).toEqual(defaults);
    }
  });

  test('the weight of distillation per latent pixel is the same in both', () => {
    expect(SHAPES_DEFAULTS.sdWeight / (16 * 16)).toBe(SD15_DEFAULTS.sdWeight / (64 * 64));
    expect(SHAPES_DEFAULTS.sdWeightFinal / (16 * 16)).toBe(SD15_DEFAULTS.sdWeightFinal / (64 * 64));
  });

  test('every option describes itself', () => {
    for (const name of OPTION_NAMES) expect(MethodOptions.shape[name].description, name).toMatch(/\w{3}/);
  });
});

test('what options say beyond defaults gives them again', () => {
  const weight = fc.double({ min: 0, max: 10, noNaN: true });
  const steps = fc.option(fc.constantFrom(20, 64, 128, 300), { nil: undefined });
  const bound = fc.option(fc.integer({ min: 0, max: 17 }), { nil: undefined });
  const asked = fc.record({ steps, refereeStart: bound, guidance: weight, negative: fc.string() });
  fc.assert(
    fc.property(asked, (overrides) => {
      const options = resolveOptions(SHAPES_DEFAULTS, overrides);
      const least = overridesOf(options, SHAPES_DEFAULTS);
      expect(resolveOptions(SHAPES_DEFAULTS, JSON.parse(JSON.stringify(least)))).toEqual(options);
    }),
  );
  expect(overridesOf(SHAPES_DEFAULTS, SHAPES_DEFAULTS)).toEqual({});
});

describe('resolving', () => {
  test('overrides replace defaults, undefined counts as left out, and the result is frozen', () => {
    const resolved = resolveOptions(SHAPES_DEFAULTS, { guidance: 3, lr: undefined });
    expect(resolved).toEqual({ ...SHAPES_DEFAULTS, guidance: 3 });
    expect(Object.isFrozen(resolved)).toBe(true);
  });

  test.each([
    [32, 27],
    [128, 108],
    [1, 1],
    [10, 8],
  ])('the referee keeps its share of %i steps', (steps, refereeEnd) => {
    expect(resolveOptions(SHAPES_DEFAULTS, { steps })).toEqual({ ...SHAPES_DEFAULTS, steps, refereeEnd });
  });

  test('a referee phase that is given stays', () => {
    expect(resolveOptions(SHAPES_DEFAULTS, { steps: 32, refereeEnd: 30 }).refereeEnd).toBe(30);
  });

  test.each([
    [{ steps: 1e99 }, 'steps: expected a whole number from 1 to 10000, found 1e+99'],
    [{ steps: 0 }, 'steps: expected a whole number from 1 to 10000, found 0'],
    [{ steps: -1 }, 'steps: expected a whole number from 1 to 10000, found -1'],
    [{ steps: 2.5 }, 'steps: expected a whole number from 1 to 10000, found 2.5'],
    [{ steps: '3oo' }, 'steps: expected a whole number from 1 to 10000, found "3oo"'],
    [{ steps: null }, 'steps: expected a whole number from 1 to 10000, found null'],
    [{ guidance: Number.NaN }, 'guidance: expected a number from 0 to 1000, found NaN'],
    [{ guidance: Number.POSITIVE_INFINITY }, 'guidance: expected a number from 0 to 1000, found Infinity'],
    [{ method: 'serch' }, 'method: expected one of search, distil, sample, best-of, found "serch"'],
    [{ prefix: 3 }, 'prefix: expected text of at most 2000 characters, found 3'],
    [{ gidance: 3 }, 'unknown option "gidance": did you mean "guidance"?'],
    [{ colour: 'red' }, 'unknown option "colour"'],
    [JSON.parse('{"__proto__": 1}'), 'unknown option "__proto__"'],
    [{ constructor: 1 }, 'unknown option "constructor"'],
    [[1], 'options: expected an object of option names and values, found [1]'],
    [null, 'options: expected an object of option names and values, found null'],
    [{ steps: 10, refereeEnd: 54 }, 'refereeEnd: expected at most steps (10), found 54'],
    [{ refereeStart: 60 }, 'refereeStart: expected at most refereeEnd (54), found 60'],
    [{ tMin: 949 }, 'tMin: expected at most tMax - 2 (948), found 949'],
    [{ eraseAreaMin: 0.5 }, 'eraseAreaMin: expected at most eraseAreaMax (0.08), found 0.5'],
    [{ eraseAspectMin: 5 }, 'eraseAspectMin: expected at most eraseAspectMax (3.3), found 5'],
    [{ augTopk: 4 }, 'augTopk: expected at most cutouts (3), found 4'],
    [
      { itmWeight: 0, itgWeight: 0 },
      'itmWeight: expected at least one of itmWeight, itgWeight, itcWeight above 0 (or method distil), found 0',
    ],
  ])('%j is refused in one line', (overrides: unknown, message) => {
    const error = errorOf(() => resolveOptions(SHAPES_DEFAULTS, overrides));
    expect(error.code).toBe('InvalidOption');
    expect(error.message).toBe(message);
  });

  test('distillation alone needs no referee', () => {
    expect(resolveOptions(SHAPES_DEFAULTS, { method: 'distil', itmWeight: 0, itgWeight: 0 }).method).toBe('distil');
  });

  test('every number has bounds: infinity is refused everywhere', () => {
    const numeric = OPTION_NAMES.filter((name) => typeof SD15_DEFAULTS[name] === 'number');
    expect(numeric.length).toBe(47);
    for (const name of numeric) {
      expect(errorOf(() => resolveOptions(SD15_DEFAULTS, { [name]: Infinity })).message).toContain(`${name}: expected`);
      expect(errorOf(() => resolveOptions(SD15_DEFAULTS, { [name]: -9 })).message).toContain('found -9');
    }
  });
});

describe('text', () => {
  test.each([
    ['steps', '64', 64],
    ['guidance', ' 7.5 ', 7.5],
    ['lr', '1e-3', 0.001],
    ['lr', '.5', 0.5],
    ['augTopk', '2', 2],
    ['alphaExponent', '-1', -1],
    ['method', 'best-of', 'best-of'],
    ['prefix', ' a photo of ', ' a photo of '],
    ['prefix', '12', '12'],
    ['negative', '', ''],
  ])('%s %j', (name, written, value) => {
    expect(optionFromText(name, written)).toBe(value);
  });

  test.each([
    ['steps', '3oo', 'steps: expected a whole number from 1 to 10000, found "3oo"'],
    ['steps', '1e99', 'steps: expected a whole number from 1 to 10000, found 1e+99'],
    ['steps', '', 'steps: expected a whole number from 1 to 10000, found ""'],
    ['steps', '0x10', 'steps: expected a whole number from 1 to 10000, found "0x10"'],
    ['guidance', 'NaN', 'guidance: expected a number from 0 to 1000, found "NaN"'],
    ['guidance', 'Infinity', 'guidance: expected a number from 0 to 1000, found "Infinity"'],
    ['readout', 'EMA', 'readout: expected one of latent, ema, found "EMA"'],
    ['stpes', '3', 'unknown option "stpes": did you mean "steps"?'],
  ])('%s %j is refused', (name, written, message) => {
    expect(errorOf(() => optionFromText(name, written)).message).toBe(message);
  });
});
