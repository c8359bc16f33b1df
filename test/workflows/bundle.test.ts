import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { fileURLToPath } from 'node:url';

import { bundleWorkflowCode } from '@temporalio/worker';
import { beforeAll, expect, test } from 'vitest';

import * as workflows from '../../workflows/index.ts';

const ROOM = new URL('../../workflows/', import.meta.url);
/** Packages that may be in it: the SDK's workflow side and what that is made of. */
const PACKAGES = ['@temporalio/common', '@temporalio/workflow', '@temporalio/worker', 'nexus-rpc', 'ms', 'long'];

let code: string;
/** Files and packages of the bundle, as webpack names them. */
let modules: string[];

beforeAll(async () => {
  const nothing = (): void => undefined;
  const logger = { log: nothing, trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing };
  const bundle = await bundleWorkflowCode({ workflowsPath: fileURLToPath(new URL('index.ts', ROOM)), logger });
  code = bundle.code;
  modules = [...new Set([...code.matchAll(/"(\.\/[^"\n]+?\.(?:ts|js|cjs|mjs|json))"/g)].map((match) => match[1]!))];
});

test('the bundle is smaller than 2 MB', () => {
  expect(Buffer.byteLength(code)).toBeLessThan(2e6);
});

test('it has the workflows and the SDK, and nothing else', () => {
  const own = modules.filter((name) => !name.includes('node_modules') && name.endsWith('.ts'));
  const files = readdirSync(ROOM).filter((name) => name.endsWith('.ts'));
  expect(own.sort()).toEqual(files.map((name) => `./workflows/${name}`).sort());
  const packages = new Set(modules.flatMap((name) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(name)?.[1] ?? []));
  expect(packages.size).toBeGreaterThan(0);
  expect([...packages].filter((name) => !PACKAGES.includes(name))).toEqual([]);
});

test('no workflow imports what is not the same at every replay', () => {
  for (const file of readdirSync(ROOM)) {
    const source = readFileSync(new URL(file, ROOM), 'utf8');
    const imported = [...source.matchAll(/^import (type )?[^;]*?from '([^']+)';/gms)];
    for (const [, type, from] of imported) {
      const isOwn = from!.startsWith('./') || ['@temporalio/workflow', '@temporalio/common'].includes(from!);
      const isAllowed = isOwn || (type !== undefined && from!.startsWith('../activities/'));
      expect([file, from, isAllowed]).toEqual([file, from, true]);
      expect(builtinModules, file).not.toContain(from!.replace(/^node:/, ''));
    }
  }
});

test('exactly three workflows are registered, under their names', () => {
  expect(Object.keys(workflows).sort()).toEqual(['batch', 'inversion', 'page']);
});
