/**
 * @file The end of an item: the picture with its provenance, the scores, `result.json`; or the record of a failure.
 */
import type { RefereeError } from '../errors.ts';
import { totalSteps } from '../inversion/state.ts';
import { sha256 } from '../store/ids.ts';
import { itemKey } from '../store/layout.ts';
import { toRgb8 } from '../store/pixels.ts';
import { encodePng } from '../store/png.ts';
import { provenanceText } from '../store/provenance.ts';
import type { Provenance } from '../store/provenance.ts';
import { REPRODUCIBILITY, RESULT_VERSION } from '../store/result.ts';
import type { Result } from '../store/result.ts';
import { publish } from '../store/run.ts';
import { versions } from './versions.ts';
import type { DescribedItem, ItemSpec } from './specs.ts';
import { judgeScores } from './judging.ts';
import type { Effort, ItemPlace } from './item-store.ts';
import type { Engine } from './engine.ts';

export interface Finished {
  /** Of the picture. */
  readonly path: string;
  readonly scores: Readonly<Record<string, number>>;
}

interface Picture extends Effort {
  readonly spec: ItemSpec;
  /** [C, h, w] */
  readonly latent: Float32Array;
}

/** Decodes, scores and writes: the picture first, then the result that names its digest. */
export async function publishPicture(
  engine: Engine,
  place: ItemPlace,
  { spec, latent, ...effort }: Picture,
): Promise<Finished> {
  const [height, width] = engine.imageSize;
  const pixels01 = await engine.models.decode(latent, 1);
  const prompt = await engine.preparePrompt(spec.tokens);
  const [match] = await engine.models.score({ lanes: 1, latents: latent, prompts: [prompt] });
  const scores = { match: match!, ...judgeScores(engine.pack, spec.prompt, pixels01) };
  const png = await encodePng(toRgb8(pixels01, width, height), provenanceText(provenanceOf(engine, spec)));
  const digests = { spec: spec.digest, image: sha256(png), latent: sha256(bytesOf(latent)) };
  const result: Result = {
    ...common(engine, place, spec),
    ...effort,
    state: 'succeeded',
    scores,
    digests,
    steps: totalSteps(spec.options),
  };
  const published = await publish(place.store, { run: place.run, item: spec.item, result }, png);
  return { path: place.store.locate(itemKey(place.run, spec.item, 'image.png')), scores: published.scores };
}

interface Failure extends Effort {
  readonly spec: DescribedItem;
  readonly error: RefereeError;
  readonly step: number;
}

/** An older failure gives way to this one; a picture does not. */
export async function publishFailure(
  engine: Engine,
  place: ItemPlace,
  { spec, error, step, ...effort }: Failure,
): Promise<void> {
  const { code, message, hint } = error;
  const result: Result = {
    ...common(engine, place, spec),
    ...effort,
    state: 'failed',
    scores: {},
    digests: { spec: spec.digest },
    steps: step,
    error: { code, message, ...(hint !== undefined && { hint }) },
  };
  await publish(place.store, { run: place.run, item: spec.item, result });
}

/** What the picture's file says of how it was made. */
export function provenanceOf(engine: Engine, { prompt, seed, options, item }: ItemSpec): Provenance {
  const [height, width] = engine.imageSize;
  const { manifest, digest } = engine.pack;
  return {
    prompt,
    ...(options.negative !== '' && { negative: options.negative }),
    seed,
    method: options.method,
    width,
    height,
    item,
    pack: { name: manifest.name, digest },
    settings: options,
    version: versions().referee,
  };
}

type Common = Omit<Result, 'state' | 'scores' | 'digests' | 'steps' | 'attempts' | 'seconds'>;

function common(engine: Engine, { run, deviceClass }: ItemPlace, spec: DescribedItem): Common {
  const [height, width] = engine.imageSize;
  const { manifest, digest } = engine.pack;
  const { prompt, seed, options, item, index, id, tags, metadata } = spec;
  return {
    v: RESULT_VERSION,
    run,
    item,
    index,
    ...(id !== undefined && { id }),
    prompt,
    ...(options.negative !== '' && { negative: options.negative }),
    seed,
    method: options.method,
    width,
    height,
    settings: { ...options },
    provider: deviceClass.split(' ')[0]!,
    devices: [deviceClass],
    pack: { name: manifest.name, version: manifest.version, digest },
    licences: Object.entries(manifest.licence.parts).map(([part, licence]) => ({ part, licence })),
    licence: manifest.licence.spdx,
    versions: { ...versions() },
    reproducibility: REPRODUCIBILITY,
    parents: [],
    flags: [],
    tags: [...tags],
    metadata: { ...metadata },
  };
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
