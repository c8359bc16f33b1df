/**
 * @file Values of flags: text in, checked values out. A flag is the kebab-case of its field; an error names the flag, what
 * was found and what was expected.
 */
import { Option } from 'commander';

import { RefereeError, quoted } from '../errors.ts';
import { nearestName } from '../inversion/suggest.ts';

export function kebab(field: string): string {
  return field.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

export interface Range {
  readonly min: number;
  readonly max: number;
}

/** `--flag <n>`: a whole number in a range. */
export function wholeFlag(flag: string, { min, max }: Range, description: string): Option {
  const expected = `a whole number from ${min} to ${max}`;
  return numberFlag(flag, description, (text) => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max && Number.isSafeInteger(value))) throw invalidFlag(flag, expected, text);
    return value;
  });
}

/** `--flag <x>`: a finite number, 0 or more. */
export function toleranceFlag(flag: string, description: string): Option {
  return numberFlag(flag, description, (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (!Number.isFinite(value) || value < 0) throw invalidFlag(flag, 'a number, 0 or more', text);
    return value;
  });
}

/** `--flag <word>`: one of a few. */
export function choiceFlag(flag: string, choices: readonly string[], description: string): Option {
  const option = new Option(`--${flag} <name>`, `${description}: ${choices.join(', ')}`);
  return option.argParser((text) => {
    if (choices.includes(text)) return text;
    const nearest = nearestName(text, choices);
    throw invalidFlag(flag, `one of ${choices.join(', ')}`, text, nearest);
  });
}

/** `--seeds 1,2,5-8`: whole numbers and ranges, each seed once, in the order given. */
export function parseSeeds(text: string, max: number): number[] {
  const seeds = new Set<number>();
  for (const part of text.split(',')) {
    const match = /^\s*(\d{1,16})(?:-(\d{1,16}))?\s*$/.exec(part);
    const first = Number(match?.[1] ?? Number.NaN);
    const last = match?.[2] === undefined ? first : Number(match[2]);
    if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last) || last < first) {
      throw invalidFlag('seeds', 'whole numbers and ranges such as 1,2,5-8', text);
    }
    if (seeds.size + (last - first) >= max) throw invalidFlag('seeds', `at most ${max} seeds`, text);
    for (let seed = first; seed <= last; seed++) seeds.add(seed);
  }
  return [...seeds];
}

export function invalidFlag(flag: string, expected: string, found: string, nearest?: string): RefereeError {
  const suggestion = nearest === undefined ? '' : `: did you mean ${quoted(nearest)}?`;
  return new RefereeError('InvalidOption', `--${flag}: expected ${expected}, found ${quoted(found)}${suggestion}`, {
    details: { field: flag },
  });
}

function numberFlag(flag: string, description: string, parse: (text: string) => number): Option {
  return new Option(`--${flag} <n>`, description).argParser(parse);
}
