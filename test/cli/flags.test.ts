import { Command } from 'commander';
import { describe, expect, test } from 'vitest';

import { choiceFlag, kebab, parseSeeds, toleranceFlag, wholeFlag } from '../../cli/flags.ts';
import { addMethodFlags, methodOverrides } from '../../cli/method-flags.ts';
import { OPTION_NAMES, SHAPES_DEFAULTS } from '../../inversion/options.ts';

describe('seeds', () => {
  test.each([
    ['7', [7]],
    ['1,2,5-8', [1, 2, 5, 6, 7, 8]],
    [' 3 , 1-2', [3, 1, 2]],
    ['1,1-2,2', [1, 2]],
    ['0', [0]],
  ])('%j are %j', (text, seeds) => {
    expect(parseSeeds(text, 100)).toEqual(seeds);
  });

  test.each(['', ',', '1,', '-1', '8-5', '1.5', 'a', '1e3', '99999999999999999', '0x10'])('%j are refused', (text) => {
    expect(() => parseSeeds(text, 100)).toThrow('--seeds: expected whole numbers and ranges such as 1,2,5-8, found');
  });

  test('more than a run may have are refused before they are listed', () => {
    expect(() => parseSeeds('0-9007199254740990', 100)).toThrow('--seeds: expected at most 100 seeds');
    expect(parseSeeds('1-100', 100)).toHaveLength(100);
  });
});

describe('numbers and choices', () => {
  const parse = (option: { parseArg?: unknown }, text: string): unknown =>
    (option.parseArg as (text: string) => unknown)(text);

  test.each(['', ' ', '0', '9', '1.5', '-1', '1e0', 'NaN', '0x2', 'two'])(
    'a whole number from 1 to 8 is not %j',
    (text) => {
      expect(() => parse(wholeFlag('lanes', { min: 1, max: 8 }, ''), text)).toThrow(
        '--lanes: expected a whole number from 1 to 8, found',
      );
    },
  );

  test.each(['', 'NaN', '-1e-3', 'Infinity', 'x'])('a tolerance is not %j', (text) => {
    expect(() => parse(toleranceFlag('rtol', ''), text)).toThrow('--rtol: expected a number, 0 or more, found');
  });

  test('values in range come through', () => {
    expect(parse(wholeFlag('lanes', { min: 1, max: 8 }, ''), '8')).toBe(8);
    expect(parse(toleranceFlag('rtol', ''), '1e-3')).toBe(1e-3);
  });

  test('a misspelt choice gets a suggestion', () => {
    expect(() => parse(choiceFlag('provider', ['cpu', 'cuda'], ''), 'cudda')).toThrow(
      '--provider: expected one of cpu, cuda, found "cudda": did you mean "cuda"?',
    );
  });
});

describe('options of the method', () => {
  const command = (): Command => {
    const built = new Command().exitOverride();
    addMethodFlags(built);
    return built;
  };

  test('each has a flag of its name that takes its value and comes back under its field', () => {
    const values: Record<string, unknown> = { ...SHAPES_DEFAULTS, augTopk: 2, negative: 'blurry' };
    const argv = OPTION_NAMES.flatMap((name) => [`--${kebab(name)}`, String(values[name])]);
    expect(methodOverrides(command().parse(argv, { from: 'user' }).opts())).toEqual(values);
  });

  test('each is described in the help', () => {
    const help = command().helpInformation();
    for (const name of OPTION_NAMES) expect(help).toMatch(new RegExp(`--${kebab(name)} <value> +\\S+`));
  });

  test('those that were not given are not overridden', () => {
    expect(methodOverrides(command().parse(['--z-noise', '0'], { from: 'user' }).opts())).toEqual({ zNoise: 0 });
  });
});
