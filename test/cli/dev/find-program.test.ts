import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { findProgram } from '../../../cli/dev/find-program.ts';
import { PROGRAMS } from '../../../cli/dev/programs.ts';
import type { Places } from '../../../cli/dev/programs.ts';
import { temporaryFolder } from '../../support/folder.ts';

const S3 = PROGRAMS.s3;

/** A script in the place of Go's command: what matters here is who calls it, how often, and what it leaves. */
async function place(goScript?: string): Promise<Places & { readonly path: string; readonly folder: string }> {
  const folder = await temporaryFolder();
  const path = join(folder, 'path');
  await mkdir(path);
  if (goScript !== undefined) await script(join(path, 'go'), goScript);
  return { folder, path, cache: join(folder, 'cache'), variables: { PATH: path, HOME: folder } };
}

async function script(path: string, text: string): Promise<void> {
  await writeFile(path, `#!/bin/sh\nPATH=$PATH:/usr/bin:/bin\n${text}\n`);
  await chmod(path, 0o755);
}

const BUILD = 'echo "$@" >> "$HOME/calls"; sleep 0.3; echo built > "$GOBIN/versitygw"; chmod +x "$GOBIN/versitygw"';

test('a variable is stronger than the path, the path than the cache', async () => {
  const { cache, path, folder, variables } = await place();
  const said: string[] = [];
  const find = (more: Record<string, string> = {}): Promise<string> =>
    findProgram(S3, { cache, variables: { ...variables, ...more } }, (line) => said.push(line));
  await mkdir(join(cache, 'bin'), { recursive: true });
  await script(join(cache, 'bin', 'versitygw'), '');
  expect(await find()).toBe(join(cache, 'bin', 'versitygw'));
  await script(join(path, 'versitygw'), '');
  expect(await find()).toBe(join(path, 'versitygw'));
  await script(join(folder, 'own'), '');
  expect(await find({ VERSITYGW: join(folder, 'own') })).toBe(join(folder, 'own'));
  await expect(find({ VERSITYGW: join(folder, 'gone') })).rejects.toMatchObject({ code: 'ProgramNotFound', exit: 2 });
  expect(said).toEqual([]);
});

test('several that need it at once build it once, and say in one line what they wait for', async () => {
  const { cache, folder, variables } = await place(BUILD);
  const said: string[] = [];
  const find = (): Promise<string> => findProgram(S3, { cache, variables }, (line) => said.push(line));
  const built = join(cache, 'bin', 'versitygw');
  expect(await Promise.all([find(), find(), find()])).toEqual([built, built, built]);
  expect(await readFile(join(folder, 'calls'), 'utf8')).toBe(`install ${S3.module}\n`);
  const waiting = `waiting for the S3 server, which another process (pid ${process.pid}) is building, about two minutes`;
  const building = `building the S3 server, once, about two minutes (go install ${S3.module})`;
  expect(said.filter((line) => line !== waiting)).toEqual([building]);
  expect(await readdir(join(cache, 'bin'))).toEqual(['versitygw']);
});

test('a build that fails leaves nothing, and one line says what to install', async () => {
  const { cache, variables } = await place('echo "go: no network" >&2; echo half > "$GOBIN/versitygw"; exit 1');
  const said: string[] = [];
  const found = findProgram(S3, { cache, variables }, (line) => said.push(line));
  await expect(found).rejects.toMatchObject({
    code: 'ProgramNotFound',
    message:
      'versitygw: the S3 server is not on this machine and could not be built (go: no network; no python3 on the path)',
    hint: expect.stringMatching(/^install Go .*VERSITYGW/) as string,
  });
  expect(said).toContain('the S3 server: that failed: go: no network');
  expect(await readdir(join(cache, 'bin'))).toEqual([]);
});
