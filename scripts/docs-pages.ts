/**
 * @file Reference pages as text, made from the schemas and tables that the program itself uses.
 */
import { ERROR_CODES } from '../errors.ts';
import { MethodOptions, OPTION_NAMES, SD15_DEFAULTS, SHAPES_DEFAULTS } from '../inversion/options.ts';

/** `docs/reference/options.md` */
export function optionsPage(): string {
  const rows = OPTION_NAMES.map((name) => {
    const { description = '' } = MethodOptions.shape[name];
    const cell = (value: unknown): string => (value === undefined ? '-' : `\`${JSON.stringify(value)}\``);
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    return `| \`${name}\` | \`${flag}\` | ${cell(SD15_DEFAULTS[name])} | ${cell(SHAPES_DEFAULTS[name])} | ${description} |`;
  });
  return [
    '# Options of the method',
    '',
    'A field of a record in a `.jsonl` file, a flag of `referee run`, a field of `invert()`: the same names everywhere. Defaults: the published code with Stable Diffusion 1.5 and',
    'BLIP-2, and the pack `shapes`. A pack may bring its own in `manifest.json`. This page is written by `tsx scripts/docs.ts`.',
    '',
    '| field | flag | general default | shapes | meaning |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}

/** `docs/reference/errors.md` */
export function errorsPage(): string {
  const rows = Object.entries(ERROR_CODES).map(([code, of]) => {
    const hint = 'hint' in of ? of.hint : '';
    return `| \`${code}\` | ${of.exit} | ${of.retryable ? 'yes' : 'no'} | ${hint} |`;
  });
  return [
    '# Errors and exit codes',
    '',
    'An error is one line on standard error, `error: <where>: <what was found, what was expected>`, and often a second, `hint: ...`. With `--json` it is an object on standard output,',
    '`{"v":1,"error":{"code","message","hint","field","file","line"}}`. Codes are stable. This page is written by `tsx scripts/docs.ts`.',
    '',
    'Exit codes: 0 all done; 1 a bug of ours; 2 the command, an input, a model, a pack or the store is not usable as it is; 3 finished, but some items failed or some numbers are outside',
    'tolerance; 4 not found; 75 try again later; 130 and 143 interrupted and resumable.',
    '',
    '| code | exit | may succeed later, unchanged | general hint |',
    '| --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}
