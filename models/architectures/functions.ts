/**
 * @file Models by the class names that configs write, and their functions by name: inputs by name in, outputs by name
 * out. What a table can call, where the search calls the architectures' own functions.
 */
import { RefereeError, quoted } from '../../errors.ts';
import type { Scope } from '../nn/scope.ts';
import type { GraphBuilder } from '../onnx/builder.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import * as autoencoder from './autoencoder-kl.ts';
import { parseBlip2Config } from './blip2-config.ts';
import type { Blip2Config } from './blip2-config.ts';
import * as blip2 from './blip2.ts';
import * as clipText from './clip-text.ts';
import { parseUnetConfig } from './unet-2d-condition-config.ts';
import { predict } from './unet-2d-condition.ts';

/** Values by name; asking for a name that is not there is an error that says so. */
export class NamedInputs {
  readonly #values: ReadonlyMap<string, Value>;
  readonly #where: string;

  constructor(values: ReadonlyMap<string, Value>, where: string) {
    this.#values = values;
    this.#where = where;
  }

  get(name: string): Value {
    const value = this.#values.get(name);
    if (value) return value;
    const found = [...this.#values.keys()].join(', ');
    throw new RefereeError('InvalidInput', `${this.#where}: input ${quoted(name)} is missing, found ${found}`);
  }

  optional(name: string): Value | undefined {
    return this.#values.get(name);
  }
}

/** Appends a function to a graph. */
export type ModelFunction = (b: GraphBuilder, scope: Scope, inputs: NamedInputs) => Readonly<Record<string, Value>>;

type Functions = Readonly<Record<string, ModelFunction>>;

/** Smoothing of the published training code, the one that recordings of `loss_smoothed` have. */
const RECORDED_LABEL_SMOOTHING = 0.1;

const MODELS: Readonly<Record<string, (config: unknown, where: string) => Functions>> = {
  AutoencoderKL: autoencoderFunctions,
  UNet2DConditionModel: unetFunctions,
  CLIPTextModel: clipTextFunctions,
  CLIPTextModelWithProjection: clipTextFunctions,
  Blip2ForImageTextRetrieval: (config, where) => blip2Functions(parseBlip2Config(config, where)),
};

/**
 * The functions of a model.
 *
 * @param where begins every message: the config's file
 * @throws RefereeError `InvalidModel` for a class that is not known, or a setting that is not supported
 */
export function modelFunctions(model: string, config: unknown, where: string): Functions {
  const functions = Object.hasOwn(MODELS, model) ? MODELS[model] : undefined;
  if (functions) return functions(config, where);
  const known = Object.keys(MODELS).join(', ');
  throw new RefereeError('InvalidModel', `${where}: model ${quoted(model)} is not supported, expected one of ${known}`);
}

function autoencoderFunctions(json: unknown, where: string): Functions {
  const config = autoencoder.parseAutoencoderKlConfig(json, where);
  return {
    decode: (b, scope, inputs) => ({ image: autoencoder.decode(b, scope, config, inputs.get('latent')) }),
    encode: (b, scope, inputs) => ({ ...autoencoder.encode(b, scope, config, inputs.get('image')) }),
  };
}

function unetFunctions(json: unknown, where: string): Functions {
  const config = parseUnetConfig(json, where);
  return {
    predict: (b, scope, inputs) => ({
      sample: predict(b, scope, config, {
        sample: inputs.get('sample'),
        timestep: inputs.get('timestep'),
        encoderHiddenStates: inputs.get('encoder_hidden_states'),
        textEmbeds: inputs.optional('text_embeds'),
        timeIds: inputs.optional('time_ids'),
      }),
    }),
  };
}

function clipTextFunctions(json: unknown, where: string): Functions {
  const config = clipText.parseClipTextConfig(json, where);
  return {
    encode: (b, scope, inputs) => {
      const output = clipText.encodeText(b, scope, config, {
        ids: inputs.get('input_ids'),
        mask: inputs.optional('attention_mask'),
      });
      return {
        last_hidden_state: output.lastHiddenState,
        pooler_output: output.poolerOutput,
        penultimate: output.penultimate,
        ...(output.textEmbeds && { text_embeds: output.textEmbeds }),
      };
    },
  };
}

function blip2Functions(config: Blip2Config): Functions {
  const see = (b: GraphBuilder, scope: Scope, inputs: NamedInputs, ids: string): blip2.ImageAndText => ({
    image: scope.enter(b, 'vision_model', (w) =>
      blip2.visionTower(b, w, config.vision_config, inputs.get('pixel_values')),
    ),
    ids: inputs.get(ids),
    mask: inputs.get('attention_mask'),
  });
  return {
    itm: (b, scope, inputs) => ({
      logits: blip2.matchingLogits(b, scope, config, see(b, scope, inputs, 'input_ids')),
    }),
    'loss-itm': (b, scope, inputs) => {
      const logits = blip2.matchingLogits(b, scope, config, see(b, scope, inputs, 'input_ids'));
      return { loss: op.reduceMean(b, blip2.matchingLosses(b, logits), { keepdims: false }) };
    },
    itc: (b, scope, inputs) => {
      const output = blip2.contrast(b, scope, config, see(b, scope, inputs, 'input_ids'));
      return {
        image_embeds: output.imageEmbeds,
        text_embeds: output.textEmbeds,
        logits_per_image: output.logitsPerImage,
      };
    },
    'scores-itg': (b, scope, inputs) => ({
      scores: blip2.generationScores(b, scope, config, see(b, scope, inputs, 'decoder_input_ids')),
    }),
    'loss-itg': (b, scope, inputs) => {
      const seen = see(b, scope, inputs, 'decoder_input_ids');
      const scores = blip2.generationScores(b, scope, config, seen);
      return {
        scores,
        loss: blip2.generationLoss(b, scores, seen).mean,
        loss_smoothed: blip2.generationLoss(b, scores, { ...seen, labelSmoothing: RECORDED_LABEL_SMOOTHING }).mean,
      };
    },
  };
}
