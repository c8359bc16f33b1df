/**
 * @file The settings of BLIP-2's image-text models, with the library's defaults: published configs write only what
 * differs from them.
 */
import { z } from 'zod';

import { activationName, configProblem, only, parseConfig, positive, size, withDefault } from './config.ts';

const visionSchema = z.looseObject({
  hidden_size: withDefault(size, 1408),
  intermediate_size: withDefault(size, 6144),
  num_hidden_layers: withDefault(size, 39),
  num_attention_heads: withDefault(size, 16),
  image_size: withDefault(size, 224),
  patch_size: withDefault(size, 14),
  hidden_act: withDefault(activationName, 'gelu'),
  layer_norm_eps: withDefault(positive, 1e-6),
});

const qformerSchema = z.looseObject({
  vocab_size: withDefault(size, 30_522),
  hidden_size: withDefault(size, 768),
  num_hidden_layers: withDefault(size, 12),
  num_attention_heads: withDefault(size, 12),
  intermediate_size: withDefault(size, 3072),
  hidden_act: withDefault(activationName, 'gelu'),
  max_position_embeddings: withDefault(size, 512),
  layer_norm_eps: withDefault(positive, 1e-12),
  cross_attention_frequency: withDefault(size, 2),
  position_embedding_type: only('absolute'),
});

const schema = z.looseObject({
  vision_config: withDefault(visionSchema, visionSchema.parse({})),
  qformer_config: withDefault(qformerSchema, qformerSchema.parse({})),
  num_query_tokens: withDefault(size, 32),
  image_text_hidden_size: withDefault(size, 256),
});

export type Blip2VisionConfig = z.output<typeof visionSchema>;
export type QFormerConfig = z.output<typeof qformerSchema>;
export type Blip2Config = z.output<typeof schema>;

/** @throws RefereeError `InvalidModel` that names the field of `where` */
export function parseBlip2Config(json: unknown, where: string): Blip2Config {
  const config = parseConfig(schema, json, where);
  const { vision_config: vision, qformer_config: qformer } = config;
  for (const [name, part] of [
    ['vision_config', vision],
    ['qformer_config', qformer],
  ] as const) {
    if (part.hidden_size % part.num_attention_heads !== 0) {
      throw configProblem(where, `${name}.num_attention_heads`, `must divide hidden_size, ${part.hidden_size}`);
    }
  }
  return config;
}
