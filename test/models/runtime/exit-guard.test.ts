import { fileURLToPath } from 'node:url';

import { execa } from 'execa';
import { describe, expect, it } from 'vitest';

import { guarded, holdExit, newGuardWord } from '../../../models/runtime/exit-guard.ts';

describe('a process that ends in the middle of a run', () => {
  it('ends with its own exit code and without a word from the runtime', async () => {
    const script = fileURLToPath(new URL('./exit-during-run.ts', import.meta.url));
    const { exitCode, stdout, stderr } = await execa('npx', ['--no-install', 'tsx', script], { reject: false });
    expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: 'running' });
    expect(stderr).not.toContain('terminate called');
  });
});

describe('the guard', () => {
  it('refuses calls once the process is ending', async () => {
    const word = newGuardWord();
    expect(await guarded(word, () => Promise.resolve(7))).toBe(7);
    const listeners = process.listeners('exit');
    const undo = holdExit(word);
    const onExit = process.listeners('exit').find((listener) => !listeners.includes(listener));
    onExit?.(0);
    await expect(guarded(word, () => Promise.resolve(7))).rejects.toMatchObject({ code: 'DeviceLost' });
    undo();
    expect(process.listeners('exit')).toEqual(listeners);
  });

  it('is free again after a call that failed', async () => {
    const word = newGuardWord();
    await expect(guarded(word, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await guarded(word, () => Promise.resolve('yes'))).toBe('yes');
  });
});
