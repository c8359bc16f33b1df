/** @file A result as a search would publish it. */
import { sha256 } from '../../store/ids.ts';
import { REPRODUCIBILITY } from '../../store/result.ts';
import type { Result } from '../../store/result.ts';

export function exampleResult(changes: Partial<Result> = {}): Result {
  return {
    v: 1,
    run: 'r1',
    item: 'i1',
    index: 0,
    state: 'succeeded',
    prompt: 'a red circle',
    seed: 7,
    method: 'search',
    width: 64,
    height: 64,
    settings: { steps: 64 },
    scores: { itm: 0.9 },
    steps: 64,
    attempts: 1,
    seconds: 2.5,
    provider: 'cpu',
    devices: ['cpu-x64'],
    pack: { name: 'shapes', version: '1', digest: sha256('pack') },
    digests: { spec: sha256('spec') },
    licences: [{ part: 'decoder', licence: 'Apache-2.0' }],
    licence: 'Apache-2.0',
    versions: { referee: '0.1.0' },
    reproducibility: REPRODUCIBILITY,
    parents: [],
    flags: [],
    tags: [],
    metadata: { row: 17, nested: { ключ: [null, 1.5] } },
    ...changes,
  };
}
