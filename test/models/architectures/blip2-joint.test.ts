import { expect, test } from 'vitest';

import { parseBlip2Config } from '../../../models/architectures/blip2-config.ts';
import { matchAndGenerate } from '../../../models/architectures/blip2-joint.ts';
import { generationScores, matchingLogits } from '../../../models/architectures/blip2.ts';
import { Scope } from '../../../models/nn/scope.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import { int64 } from '../../../models/onnx/dtype.ts';
import type { Value } from '../../../models/onnx/graph.ts';
import { expectClose } from '../../support/close.ts';
import { noise } from '../../support/evaluate.ts';
import { fixturePath } from '../../support/fixtures.ts';
import { runGraph } from '../../support/run-graph.ts';
import { fixtureConfig, openWeights } from '../../support/weights.ts';

const config = parseBlip2Config(fixtureConfig('blip2-itm'), 'config.json');

// A text as long as the queries shortens the last layer.
test.each([
  ['another number of', config.num_query_tokens + 1],
  ['as many', config.num_query_tokens],
])('matching and generation in one pass give what each gives by itself: %s tokens as queries', async (_, texts) => {
  const source = await openWeights(
    fixturePath('blip2-itm/model.safetensors'),
    fixturePath('blip2-itg/lm_head.safetensors'),
  );
  const [lanes, cutouts] = [2, 3];
  const rows = lanes * cutouts;
  // The first lane's text ends one token early.
  const mask = Array.from({ length: lanes * texts }, (__, at) => (at === texts - 1 ? 0 : 1));
  const ids = mask.map((kept, at) => (kept === 0 ? 0 : 2 + ((3 * at) % 8)));
  const decoderIds = ids.map((id, at) => (at % texts === 0 ? 1 : id));
  const perCutout = (values: readonly number[]): number[] =>
    Array.from({ length: rows }, (_, row) => {
      const lane = Math.floor(row / cutouts);
      return values.slice(lane * texts, (lane + 1) * texts);
    }).flat();
  const shown = noise([rows, 5, config.vision_config.hidden_size], 3);
  const b = new GraphBuilder('both');
  const scope = new Scope(source);
  const image = b.input('image', 'float32', shown.shape);
  const tokens = (values: readonly number[], count: number): Value => b.constant(int64(values, [count, texts]));
  const joint = matchAndGenerate(b, scope, config, {
    image,
    ids: tokens(ids, lanes),
    decoderIds: tokens(decoderIds, lanes),
    mask: tokens(mask, lanes),
  });
  const each = { image, mask: tokens(perCutout(mask), rows) };
  b.output('logits', joint.logits);
  b.output('scores', joint.scores);
  b.output('matching', matchingLogits(b, scope, config, { ...each, ids: tokens(perCutout(ids), rows) }));
  b.output('generation', generationScores(b, scope, config, { ...each, ids: tokens(perCutout(decoderIds), rows) }));
  const { logits, scores, matching, generation } = await runGraph(b.build(), { image: shown });
  // Float32 in another order: some millionths of values of about one.
  expectClose(logits, matching!, { rtol: 0, atol: 5e-6 });
  expectClose(scores, generation!, { rtol: 0, atol: 5e-6 });
  expect(new Set(logits!.data as Float32Array).size).toBe(2 * rows);
});
