/**
 * @file Builds `dist/`: the TypeScript compiler, the bundle of the workflows, then the executable bit of the command and its place
 * among the commands of the checkout.
 */
import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { execa } from 'execa';

const root = fileURLToPath(new URL('..', import.meta.url));
const { bin } = (await import('../package.json', { with: { type: 'json' } })).default;

// Files of sources that are gone must not stay importable.
await rm(new URL('../dist', import.meta.url), { recursive: true, force: true });
const compiled = await execa('tsc', ['-p', 'tsconfig.build.json'], {
  cwd: root,
  preferLocal: true,
  stdio: 'inherit',
  reject: false,
});
if (compiled.failed) process.exit(compiled.exitCode ?? 1);
// The code of the workflows as one file: without it every start of a worker would bundle it anew.
const { bundleWorkflows } = await import('../worker/bundle.ts');
await writeFile(new URL('../dist/workflows/bundle.js', import.meta.url), await bundleWorkflows());
await chmod(new URL(`../${bin.referee}`, import.meta.url), 0o755);

// npm links the commands of dependencies, not of the package itself; without this npx would install the checkout anew.
const commands = new URL('../node_modules/.bin/', import.meta.url);
await mkdir(commands, { recursive: true });
const link = new URL('referee', commands);
await rm(link, { force: true });
if (process.platform !== 'win32') await symlink(`../../${bin.referee}`, link);
