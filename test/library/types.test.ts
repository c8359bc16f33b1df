import { describe, expectTypeOf, test } from 'vitest';

import type { InvertEvent, InvertSpec, Result, Run, RunPrompt, RunResult, RunSettings, Tensor } from '../../index.ts';
import { invert, isRefereeError, openRun } from '../../index.ts';

describe('types of the library', () => {
  test('an event is told by its type', () => {
    expectTypeOf(invert).returns.toEqualTypeOf<AsyncGenerator<InvertEvent, void, undefined>>();
    expectTypeOf<InvertEvent['type']>().toEqualTypeOf<'step' | 'preview' | 'checkpoint' | 'note' | 'done'>();
    type Done = Extract<InvertEvent, { type: 'done' }>;
    expectTypeOf<Done['result']>().toEqualTypeOf<Result>();
    expectTypeOf<Done['result']['scores']>().toEqualTypeOf<Record<string, number>>();
    expectTypeOf<Done['image']>().returns.resolves.toEqualTypeOf<Uint8Array>();
    expectTypeOf<Done['latent']>().returns.resolves.toEqualTypeOf<Tensor>();
    expectTypeOf<Extract<InvertEvent, { type: 'step' }>['losses']>().toExtend<Readonly<Record<string, number>>>();
  });

  test('options of the method stand in the spec, others do not', () => {
    expectTypeOf<{ prompt: string; seed: number; steps: number; method: 'best-of' }>().toExtend<InvertSpec>();
    expectTypeOf<{ prompt: string; method: 'other' }>().not.toExtend<InvertSpec>();
    expectTypeOf<{ seed: number }>().not.toExtend<InvertSpec>();
    // @ts-expect-error: a misspelt option
    expectTypeOf<InvertSpec>().toHaveProperty('stepz');
  });

  test('a result is a picture or an error, told by ok', () => {
    expectTypeOf(openRun).returns.resolves.toEqualTypeOf<Run>();
    expectTypeOf<Run['id']>().toEqualTypeOf<string>();
    expectTypeOf<Run>().toExtend<AsyncDisposable>();
    type Failed = Extract<RunResult, { ok: false }>;
    type Succeeded = Extract<RunResult, { ok: true }>;
    expectTypeOf<Failed>().not.toHaveProperty('image');
    expectTypeOf<Failed['error']['code']>().toExtend<string>();
    expectTypeOf<Succeeded>().not.toHaveProperty('error');
    expectTypeOf<Succeeded['path']>().toEqualTypeOf<string>();
  });

  test('input is a list, a set, a generator or an async generator of texts and specs', () => {
    expectTypeOf<string[]>().toExtend<RunSettings['input']>();
    expectTypeOf<Set<RunPrompt>>().toExtend<RunSettings['input']>();
    expectTypeOf<AsyncGenerator<{ prompt: string; seeds: number[] }>>().toExtend<RunSettings['input']>();
    expectTypeOf<number[]>().not.toExtend<RunSettings['input']>();
  });

  test('a caught error is narrowed', () => {
    const error: unknown = undefined;
    if (isRefereeError(error)) expectTypeOf(error.hint).toEqualTypeOf<string | undefined>();
  });
});
