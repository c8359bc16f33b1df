import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { ONE_DEVICE, referee } from './support/command.ts';
import { refused } from './support/refused.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'referee-bad-'));
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(folder, name), text);
});

afterAll(() => rmSync(folder, { recursive: true }));

const FILES: Readonly<Record<string, string | Uint8Array>> = {
  'empty.txt': '',
  'comments.txt': '# a red circle\n\n   \n',
  'words.txt': 'a red circle\n\na red zebra\n',
  'latin1.txt': Buffer.from('a red circle\nun cercle carr\xe9\n', 'latin1'),
  'broken.jsonl': '{"prompt": "a red circle"}\n{"prompt": "a red circle",}\n',
  'text.jsonl': '{"prompt": "a red circle"}\n"a red circle"\n',
  'field.jsonl': '{"prompt": "a red circle", "stepz": 5}\n',
  'type.jsonl': '{"prompt": "a red circle", "steps": "5"}\n',
  'range.jsonl': '{"prompt": "a red circle", "guidance": -1}\n',
  'prompt.jsonl': '{"prompt": ["a red circle"]}\n',
  'no-prompt.jsonl': '{"seed": 4}\n',
  'blank.jsonl': '{"prompt": "a red circle"}\n{"prompt": " \\t "}\n',
  'duplicate.jsonl': '{"prompt": "a red circle", "id": "a"}\n\n{"prompt": "a blue square", "id": "a"}\n',
  'both.jsonl': '{"prompt": "a red circle", "seed": 1, "seeds": [2]}\n',
  'size.jsonl': '{"prompt": "a red circle", "width": 512}\n',
  'words.jsonl': '{"prompt": "a red circle"}\n{"prompt": "a red circel"}\n',
  'control.jsonl': '{"prompt": "a red\\u0007 circle"}\n',
  'negative.jsonl': '{"prompt": "a red circle", "negative": "ugly"}\n',
  'phase.jsonl': '{"prompt": "a red circle", "refereeStart": 50, "refereeEnd": 10}\n',
};

/** The words after `run`, and how the message begins and what else it names. `%` is the folder with the files. */
const CASES: readonly (readonly [what: string, argv: readonly string[], message: RegExp])[] = [
  ['an empty prompt', [''], /^"prompt": expected a description of the image, found ""$/],
  ['a blank prompt', [' \t '], /^"prompt": expected a description of the image, found " \\t "$/],
  ['a word that the pack does not know', ['a red zebra'], /^prompt: the pack "shapes" does not know "zebra"$/],
  ['a prompt that is too long', ['a '.repeat(9000)], /^"prompt": expected at most 16384 bytes, found 18000$/],
  ['an unknown option', ['a cross', '--stepz', '5'], /^unknown option "--stepz": did you mean "--steps"\?$/],
  ['an unknown option like no other', ['a cross', '--wobble'], /^unknown option "--wobble"$/],
  ['steps 0', ['a cross', '--steps', '0'], /^--steps: expected a whole number from 1 to 10000, found 0$/],
  ['steps -1', ['a cross', '--steps', '-1'], /^--steps: expected a whole number from 1 to 10000, found -1$/],
  ['steps 1e99', ['a cross', '--steps', '1e99'], /^--steps: expected a whole number .*, found 1e\+99$/],
  ['steps as text', ['a cross', '--steps', 'many'], /^--steps: expected a whole number .*, found "many"$/],
  ['steps with a fraction', ['a cross', '--steps', '2.5'], /^--steps: expected a whole number .*, found 2\.5$/],
  ['guidance NaN', ['a cross', '--guidance', 'NaN'], /^--guidance: expected a number from 0 to 1000, found "NaN"$/],
  ['guidance Infinity', ['a cross', '--guidance', 'Infinity'], /^--guidance: expected a number from 0 to 1000, found /],
  ['a method that is none', ['a cross', '--method', 'serch'], /^--method: expected one of search, distil.*"serch"/],
  [
    'a phase that ends before it begins',
    ['a cross', '--referee-start', '50', '--referee-end', '10'],
    /refereeStart|refereeEnd/,
  ],
  ['a seed below 0', ['a cross', '--seed', '-1'], /^--seed: expected a whole number from 0 to \d+, found "-1"$/],
  [
    'seeds that are none',
    ['a cross', '--seeds', '1,x'],
    /^--seeds: expected whole numbers and ranges .*, found "1,x"$/,
  ],
  ['0 lanes', ['a cross', '--lanes', '0'], /^--lanes: expected a whole number from 1 to 256, found "0"$/],
  ['0 steps between checkpoints', ['a cross', '--checkpoint-every', '0'], /^--checkpoint-every: expected .*"0"$/],
  ['an unknown provider', ['a cross', '--provider', 'cdua'], /^--provider: expected one of .*, found "cdua"/],
  ['a provider that is not there', ['a cross', '--provider', 'coreml'], /coreml/],
  ['an unknown pack', ['a cross', '--pack', 'shape'], /^pack: found "shape", expected one of shapes/],
  [
    'a folder that is no pack',
    ['a cross', '--pack', '%/'],
    /^pack: found ".*", expected a folder with a manifest\.json$/,
  ],
  ['a missing file', ['%/gone.txt'], /gone\.txt: expected a file of prompts, found no such file$/],
  ['a folder', ['%'], /: expected a file of prompts, found a folder$/],
  ['an empty file', ['%/empty.txt'], /empty\.txt: expected at least one prompt, found none in 0 bytes$/],
  ['a file of comments', ['%/comments.txt'], /comments\.txt: expected at least one prompt, found none in \d+ bytes$/],
  ['an unknown word on line 3', ['%/words.txt'], /words\.txt:3: prompt: the pack "shapes" does not know "zebra"$/],
  ['text that is not UTF-8', ['%/latin1.txt'], /latin1\.txt:2: byte 15 of the line: expected UTF-8, found 0xe9$/],
  ['broken JSON on line 2', ['%/broken.jsonl'], /broken\.jsonl:2: expected one JSON object, found at column 27 "}"$/],
  ['JSON that is no object', ['%/text.jsonl'], /text\.jsonl:2: "record": expected an object, found "a red circle"$/],
  ['an unknown field', ['%/field.jsonl'], /field\.jsonl:1: unknown field "stepz": did you mean "steps"\?$/],
  ['a wrong type', ['%/type.jsonl'], /type\.jsonl:1: "steps": expected a whole number from 1 to 10000, found "5"$/],
  [
    'a number out of range',
    ['%/range.jsonl'],
    /range\.jsonl:1: "guidance": expected a number from 0 to 1000, found -1$/,
  ],
  [
    'a prompt that is no text',
    ['%/prompt.jsonl'],
    /prompt\.jsonl:1: "prompt": expected text, found \["a red circle"\]$/,
  ],
  ['a record without a prompt', ['%/no-prompt.jsonl'], /no-prompt\.jsonl:1: "prompt": expected text, found nothing$/],
  [
    'a blank prompt on line 2',
    ['%/blank.jsonl'],
    /blank\.jsonl:2: "prompt": expected a description .*, found " \\t "$/,
  ],
  [
    'duplicate ids',
    ['%/duplicate.jsonl'],
    /duplicate\.jsonl:3: "id": expected a name that no other line has, found "a" of line 1$/,
  ],
  ['seed and seeds', ['%/both.jsonl'], /both\.jsonl:1: "seeds": expected either "seed" or "seeds", found both$/],
  [
    'a size that the pack has not',
    ['%/size.jsonl'],
    /size\.jsonl:1: "width": expected 64, the size of pack shapes, found 512$/,
  ],
  ['an unknown word in JSON', ['%/words.jsonl'], /words\.jsonl:2: prompt: the pack "shapes" does not know "circel"$/],
  ['a control character', ['%/control.jsonl'], /control\.jsonl:1: "prompt": expected text, found .* U\+0007$/],
  [
    'an unknown word of the negative prompt',
    ['%/negative.jsonl'],
    /negative\.jsonl:1: negative: .* does not know "ugly"$/,
  ],
  ['options that do not fit together', ['%/phase.jsonl'], /phase\.jsonl:1: .*refereeStart/],
  [
    'a store of another kind',
    ['a cross', '--store', 'ftp://example.com/runs'],
    /^store must be a folder, a file: URL or s3:\/\/bucket\/prefix, found a URL of the scheme "ftp"$/,
  ],
];

describe('what was asked for', () => {
  test.each(CASES)('%s: one line, exit code 2, nothing written', async (_, words, message) => {
    const argv = words.map((word) => word.replace('%', folder));
    const store = argv.includes('--store') ? [] : ['--store', join(folder, 'store')];
    const found = await refused(['run', ...argv, ...store]);
    expect(found).toMatch(message);
    expect(readdirSync(folder).sort()).toEqual(Object.keys(FILES).sort());
  });

  test('an unknown command: one line, with a suggestion', async () => {
    expect(await refused(['rnu', 'a cross'])).toBe('unknown command "rnu": did you mean "run"?');
  });

  test('prompts from standard input that are no text', async () => {
    const { code, stderr } = await referee(['run', '-', '--store', join(folder, 'store')], {
      stdin: ['a red circle\n', Uint8Array.of(0x80, 0x0a)],
    });
    expect([code, stderr.split('\n')[0]]).toEqual([
      2,
      'error: stdin:2: byte 1 of the line: expected UTF-8, found 0x80',
    ]);
  });
});

describe('what is no error', () => {
  const quick = ['--method', 'sample', '--sample-steps', '2', ...ONE_DEVICE];

  test('an id like a path is a name and nothing else', async () => {
    const root = mkdtempSync(join(folder, 'id-'));
    const ids = ['../../x', '/etc/passwd', 'con', 'a\u2044b', '%2e%2e%2f'];
    const lines = ids.map((id, seed) => JSON.stringify({ prompt: 'a cross', id, seed }));
    const { code, events } = await referee(['run', '-', '--store', join(root, 'store'), '--json', ...quick], {
      stdin: [lines.join('\n')],
    });
    expect(code).toBe(0);
    expect(readdirSync(root)).toEqual(['store']);
    const { folder: run, manifest } = events.at(-1) as { folder: string; manifest: string };
    for (const item of readdirSync(join(run, 'items'))) expect(item).toMatch(/^i[0-9a-f]{20}$/);
    const rows = readFileSync(manifest, 'utf8').trimEnd().split('\n');
    expect(rows.map((row) => (JSON.parse(row) as { id: string }).id)).toEqual(ids);
    rmSync(root, { recursive: true });
  });

  test('a prompt longer than the window of the models: a note before any work, with what is cut off', async () => {
    const root = mkdtempSync(join(folder, 'long-'));
    const prompt = 'a red circle and a blue square and a green cross and a yellow triangle and an orange circle';
    const argv = ['run', prompt, '--store', join(root, 'store'), ...quick];
    const { code, events } = await referee([...argv, '--json']);
    expect(code).toBe(0);
    const notes = events.filter(({ type, message }) => type === 'note' && String(message).includes('too long'));
    expect(notes.map(({ message }) => message)).toEqual([
      expect.stringMatching(/: the prompt is too long: the text encoder does not see ".*circle"$/),
      expect.stringMatching(/: the prompt is too long: the referee does not see ".*orange circle"$/),
    ]);
    expect(events.indexOf(notes[0]!)).toBeLessThan(events.findIndex(({ type }) => type === 'plan'));
    rmSync(root, { recursive: true });
  });
});
