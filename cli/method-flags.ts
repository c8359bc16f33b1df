/**
 * @file A flag for every option of the method, made from its schema: the name in kebab-case, help from the description.
 */
import { Option } from 'commander';
import type { Command } from 'commander';

import { isRefereeError, RefereeError } from '../errors.ts';
import { MethodOptions, OPTION_NAMES, optionFromText } from '../inversion/options.ts';
import type { OptionName } from '../inversion/options.ts';
import { kebab } from './flags.ts';

/** Shown with the flags of the run itself; the rest stands in a group of its own. */
const PROMINENT: ReadonlySet<OptionName> = new Set(['steps', 'method', 'candidates', 'negative'] as const);

export function addMethodFlags(command: Command): void {
  for (const name of OPTION_NAMES) {
    const flag = kebab(name);
    const option = new Option(`--${flag} <value>`, MethodOptions.shape[name].description ?? '').argParser((text) =>
      parsed(name, flag, text),
    );
    command.addOption(
      PROMINENT.has(name) ? option : option.helpGroup('Method options (defaults are those of the pack):'),
    );
  }
}

/** Those of the parsed flags that are options of the method. */
export function methodOverrides(flags: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    OPTION_NAMES.filter((name) => flags[name] !== undefined).map((name) => [name, flags[name]]),
  );
}

function parsed(name: OptionName, flag: string, text: string): unknown {
  try {
    return optionFromText(name, text);
  } catch (cause) {
    if (!isRefereeError(cause)) throw cause;
    const message = cause.message.startsWith(`${name}:`)
      ? `--${flag}${cause.message.slice(name.length)}`
      : cause.message;
    throw new RefereeError('InvalidOption', message, { cause, details: { ...cause.details, field: flag } });
  }
}
