/**
 * @file Names and shapes of the weights of checkpoints in the layouts of diffusers and transformers, from their configs.
 */
import type { MID_CONFIGS } from './mid-configs.ts';

type Configs = typeof MID_CONFIGS;
export type Shapes = ReadonlyMap<string, readonly number[]>;

/** Collects the shapes of layers by the names of places. */
class Layers {
  readonly shapes = new Map<string, readonly number[]>();

  tensor(name: string, shape: readonly number[]): void {
    this.shapes.set(name, shape);
  }

  linear(name: string, from: number, to: number): void {
    this.matrix(name, from, to);
    this.tensor(`${name}.bias`, [to]);
  }

  /** A linear layer without bias. */
  matrix(name: string, from: number, to: number): void {
    this.tensor(`${name}.weight`, [to, from]);
  }

  conv(name: string, from: number, to: number, kernel = 3): void {
    this.tensor(`${name}.weight`, [to, from, kernel, kernel]);
    this.tensor(`${name}.bias`, [to]);
  }

  norm(name: string, width: number): void {
    this.tensor(`${name}.weight`, [width]);
    this.tensor(`${name}.bias`, [width]);
  }

  /** @param time width of the timestep's embedding, if there is one */
  residual(name: string, from: number, to: number, time?: number): void {
    this.norm(`${name}.norm1`, from);
    this.conv(`${name}.conv1`, from, to);
    if (time !== undefined) this.linear(`${name}.time_emb_proj`, time, to);
    this.norm(`${name}.norm2`, to);
    this.conv(`${name}.conv2`, to, to);
    if (from !== to) this.conv(`${name}.conv_shortcut`, from, to, 1);
  }
}

export function unetShapes(config: Configs['unet']): Shapes {
  const layers = new Layers();
  const { block_out_channels: widths, layers_per_block: count, cross_attention_dim: context } = config;
  const [first, last] = [widths[0], widths[3]];
  const time = 4 * first;
  layers.linear('time_embedding.linear_1', first, time);
  layers.linear('time_embedding.linear_2', time, time);
  layers.conv('conv_in', config.in_channels, first);
  const skips: number[] = [first];
  let width: number = first;
  widths.forEach((to, level) => {
    const block = `down_blocks.${level}`;
    for (let layer = 0; layer < count; layer += 1) {
      layers.residual(`${block}.resnets.${layer}`, width, to, time);
      if (hasAttention(level)) transformer(layers, `${block}.attentions.${layer}`, to, context);
      skips.push(to);
      width = to;
    }
    if (level === widths.length - 1) return;
    layers.conv(`${block}.downsamplers.0.conv`, to, to);
    skips.push(to);
  });
  layers.residual('mid_block.resnets.0', last, last, time);
  transformer(layers, 'mid_block.attentions.0', last, context);
  layers.residual('mid_block.resnets.1', last, last, time);
  [...widths].reverse().forEach((to, index) => {
    const block = `up_blocks.${index}`;
    for (let layer = 0; layer <= count; layer += 1) {
      layers.residual(`${block}.resnets.${layer}`, width + skips.pop()!, to, time);
      if (hasAttention(widths.length - 1 - index)) transformer(layers, `${block}.attentions.${layer}`, to, context);
      width = to;
    }
    if (index < widths.length - 1) layers.conv(`${block}.upsamplers.0.conv`, to, to);
  });
  layers.norm('conv_norm_out', first);
  layers.conv('conv_out', first, config.out_channels);
  return layers.shapes;
}

/** All levels but the narrowest image have attention. */
function hasAttention(level: number): boolean {
  return level < 3;
}

function transformer(layers: Layers, name: string, width: number, context: number): void {
  layers.norm(`${name}.norm`, width);
  layers.conv(`${name}.proj_in`, width, width, 1);
  const block = `${name}.transformer_blocks.0`;
  for (const norm of ['norm1', 'norm2', 'norm3']) layers.norm(`${block}.${norm}`, width);
  for (const [attention, memory] of [
    ['attn1', width],
    ['attn2', context],
  ] as const) {
    layers.matrix(`${block}.${attention}.to_q`, width, width);
    layers.matrix(`${block}.${attention}.to_k`, memory, width);
    layers.matrix(`${block}.${attention}.to_v`, memory, width);
    layers.linear(`${block}.${attention}.to_out.0`, width, width);
  }
  layers.linear(`${block}.ff.net.0.proj`, width, 8 * width);
  layers.linear(`${block}.ff.net.2`, 4 * width, width);
  layers.conv(`${name}.proj_out`, width, width, 1);
}

/** The half of an AutoencoderKL that makes pictures. */
export function decoderShapes(config: Configs['vae']): Shapes {
  const layers = new Layers();
  const widths = [...config.block_out_channels].reverse();
  let width: number = config.block_out_channels[3];
  layers.conv('post_quant_conv', config.latent_channels, config.latent_channels, 1);
  layers.conv('decoder.conv_in', config.latent_channels, width);
  layers.residual('decoder.mid_block.resnets.0', width, width);
  const attention = 'decoder.mid_block.attentions.0';
  layers.norm(`${attention}.group_norm`, width);
  for (const name of ['to_q', 'to_k', 'to_v', 'to_out.0']) layers.linear(`${attention}.${name}`, width, width);
  layers.residual('decoder.mid_block.resnets.1', width, width);
  widths.forEach((to, level) => {
    const block = `decoder.up_blocks.${level}`;
    for (let layer = 0; layer <= config.layers_per_block; layer += 1) {
      layers.residual(`${block}.resnets.${layer}`, width, to);
      width = to;
    }
    if (level < widths.length - 1) layers.conv(`${block}.upsamplers.0.conv`, to, to);
  });
  layers.norm('decoder.conv_norm_out', width);
  layers.conv('decoder.conv_out', width, config.out_channels);
  return layers.shapes;
}

export function textShapes(config: Configs['text_encoder']): Shapes {
  const layers = new Layers();
  const { hidden_size: width, intermediate_size: wide } = config;
  layers.tensor('embeddings.token_embedding.weight', [config.vocab_size, width]);
  layers.tensor('embeddings.position_embedding.weight', [config.max_position_embeddings, width]);
  for (let index = 0; index < config.num_hidden_layers; index += 1) {
    const layer = `encoder.layers.${index}`;
    for (const norm of ['layer_norm1', 'layer_norm2']) layers.norm(`${layer}.${norm}`, width);
    for (const name of ['q', 'k', 'v', 'out']) layers.linear(`${layer}.self_attn.${name}_proj`, width, width);
    layers.linear(`${layer}.mlp.fc1`, width, wide);
    layers.linear(`${layer}.mlp.fc2`, wide, width);
  }
  layers.norm('final_layer_norm', width);
  return layers.shapes;
}

export function refereeShapes(config: Configs['referee']): Shapes {
  const layers = new Layers();
  const { vision_config: vision, qformer_config: qformer } = config;
  visionShapes(layers, vision);
  const { hidden_size: width, intermediate_size: wide } = qformer;
  layers.tensor('query_tokens', [1, config.num_query_tokens, width]);
  layers.tensor('embeddings.word_embeddings.weight', [qformer.vocab_size, width]);
  layers.tensor('embeddings.position_embeddings.weight', [qformer.max_position_embeddings, width]);
  layers.norm('qformer.layernorm', width);
  for (let index = 0; index < qformer.num_hidden_layers; index += 1) {
    const layer = `qformer.encoder.layer.${index}`;
    const isCrossing = index % qformer.cross_attention_frequency === 0;
    for (const name of ['attention', ...(isCrossing ? ['crossattention'] : [])]) {
      const memory = name === 'attention' ? width : vision.hidden_size;
      layers.linear(`${layer}.${name}.attention.query`, width, width);
      layers.linear(`${layer}.${name}.attention.key`, memory, width);
      layers.linear(`${layer}.${name}.attention.value`, memory, width);
      layers.linear(`${layer}.${name}.output.dense`, width, width);
      layers.norm(`${layer}.${name}.output.LayerNorm`, width);
    }
    for (const kind of ['', '_query']) {
      layers.linear(`${layer}.intermediate${kind}.dense`, width, wide);
      layers.linear(`${layer}.output${kind}.dense`, wide, width);
      layers.norm(`${layer}.output${kind}.LayerNorm`, width);
    }
  }
  layers.linear('itm_head', width, 2);
  layers.linear('vision_projection', width, config.image_text_hidden_size);
  layers.linear('text_projection', width, config.image_text_hidden_size);
  layers.linear('cls.predictions.transform.dense', width, width);
  layers.norm('cls.predictions.transform.LayerNorm', width);
  layers.matrix('cls.predictions.decoder', width, qformer.vocab_size);
  layers.tensor('cls.predictions.bias', [qformer.vocab_size]);
  return layers.shapes;
}

function visionShapes(layers: Layers, config: Configs['referee']['vision_config']): void {
  const { hidden_size: width, intermediate_size: wide, patch_size: patch } = config;
  const tokens = (config.image_size / patch) ** 2 + 1;
  layers.tensor('vision_model.embeddings.class_embedding', [1, 1, width]);
  layers.tensor('vision_model.embeddings.position_embedding', [1, tokens, width]);
  layers.conv('vision_model.embeddings.patch_embedding', 3, width, patch);
  for (let index = 0; index < config.num_hidden_layers; index += 1) {
    const layer = `vision_model.encoder.layers.${index}`;
    for (const norm of ['layer_norm1', 'layer_norm2']) layers.norm(`${layer}.${norm}`, width);
    layers.linear(`${layer}.self_attn.qkv`, width, 3 * width);
    layers.linear(`${layer}.self_attn.projection`, width, width);
    layers.linear(`${layer}.mlp.fc1`, width, wide);
    layers.linear(`${layer}.mlp.fc2`, wide, width);
  }
  layers.norm('vision_model.post_layernorm', width);
}
