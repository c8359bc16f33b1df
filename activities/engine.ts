/**
 * @file A pack ready to search with: its models on devices, its tokenizers.
 */
import type { LanePrompt } from '../inversion/models.ts';
import { openParts } from '../models/packs/parts.ts';
import type { Pack } from '../models/packs/resolve.ts';
import type { Device } from '../models/runtime/device.ts';
import type { ModelsSettings } from './pack-models.ts';
import { PackModels } from './pack-models.ts';
import type { TokenizedPrompt } from './prompts.ts';
import { lanePrompt, PromptTokenizer } from './prompts.ts';

export class Engine {
  readonly pack: Pack;
  readonly models: PackModels;
  readonly tokenizer: PromptTokenizer;

  private constructor(pack: Pack, models: PackModels, tokenizer: PromptTokenizer) {
    this.pack = pack;
    this.models = models;
    this.tokenizer = tokenizer;
  }

  /** Opens the parts of a pack; nothing is loaded on the devices yet. */
  static async open(pack: Pack, devices: readonly Device[], settings: ModelsSettings = {}): Promise<Engine> {
    const parts = settings.graphs?.parts ?? (await openParts(pack));
    return new Engine(pack, new PackModels(parts, devices, settings), await PromptTokenizer.open(pack));
  }

  /** Height and width of a picture, pixels. */
  get imageSize(): readonly [number, number] {
    return this.models.parts.imageSize;
  }

  /** What the models know of a prompt. */
  async preparePrompt(tokens: TokenizedPrompt): Promise<LanePrompt> {
    const [none, prompt] = await Promise.all([
      this.models.encodeText(tokens.nullIds),
      this.models.encodeText(tokens.promptIds),
    ]);
    return lanePrompt(tokens, { null: none, prompt });
  }
}
