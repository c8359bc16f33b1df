import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { ESLint } from 'eslint';
import { describe, expect, test } from 'vitest';

import { BROWSER_ROOMS, IMPORT_TABLE, SHARED_FILES } from '../scripts/import-table.js';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const table: Readonly<Record<string, readonly string[]>> = IMPORT_TABLE;
const rooms = Object.keys(table);

function sources(room: string): string[] {
  let entries;
  try {
    entries = readdirSync(join(root, room), { recursive: true, withFileTypes: true });
  } catch {
    return [];
  }
  return entries
    .filter((e) => e.isFile() && e.name.endsWith('.ts'))
    .map((e) => relative(root, join(e.parentPath, e.name)));
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8');
  return [...text.matchAll(/(?:from\s+|import\s+|import\()'([^']+)'/g)].map((match) => match[1]!);
}

const roomOf = (path: string): string | undefined =>
  rooms.filter((room) => path.startsWith(`${room}/`)).sort((a, b) => b.length - a.length)[0];

describe('the import table', () => {
  test('every import between rooms is in the table', () => {
    const wrong: string[] = [];
    let seen = 0;
    for (const room of rooms) {
      const allowed = [room, ...table[room]!];
      for (const file of sources(room)) {
        for (const specifier of importsOf(file).filter((s) => s.startsWith('.'))) {
          seen += 1;
          const target = relative(root, resolve(root, dirname(file), specifier));
          if ((SHARED_FILES as readonly string[]).includes(target)) continue;
          const other = roomOf(target) ?? target;
          if (!allowed.some((a) => other === a || other.startsWith(`${a}/`))) wrong.push(`${file} -> ${target}`);
        }
      }
    }
    expect(wrong).toEqual([]);
    expect(seen).toBeGreaterThan(100);
  });

  test('rooms that can run in a browser import nothing of Node', () => {
    const wrong = BROWSER_ROOMS.flatMap((room) => sources(room))
      .filter((file) => importsOf(file).some((specifier) => specifier.startsWith('node:')))
      .map(String);
    expect(wrong).toEqual([]);
  });
});

describe('the lint rule bites', () => {
  const eslint = new ESLint({ cwd: root });
  const rulesBroken = async (file: string, line: string): Promise<(string | null)[]> => {
    const text = `${line}\n${readFileSync(join(root, file), 'utf8')}`;
    const [result] = await eslint.lintText(text, { filePath: join(root, file) });
    return result!.messages.map((message) => message.ruleId);
  };

  test('on an import that points up the table', async () => {
    const broken = await rulesBroken('models/onnx/shapes.ts', "import '../packs/manifest.ts';");
    expect(broken).toContain('import-x/no-restricted-paths');
  });

  test('on a Node built-in in a room for the browser', async () => {
    const broken = await rulesBroken('models/onnx/shapes.ts', "import 'node:fs';");
    expect(broken).toContain('no-restricted-imports');
  });

  test('and is silent on the files as they are', async () => {
    const [result] = await eslint.lintFiles([join(root, 'models/onnx/shapes.ts')]);
    expect(result!.messages).toEqual([]);
  });
});
