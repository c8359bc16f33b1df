/**
 * @file Weights as a training would begin with: matrices and kernels keep the size of what goes through them, scales of
 * normalisations are near 1. The same names, shapes and seed give the same numbers.
 */
import { elementCount, float32, type Tensor } from '../../models/onnx/dtype.ts';

/** Standard deviation of embeddings and biases, as in BERT and CLIP. */
const EMBEDDING_STD = 0.02;
/** How far scales of normalisations are from 1, so that a scale that is left out shows. */
const SCALE_STD = 0.1;
const FNV_OFFSET = 0x81_1c_9d_c5;
const FNV_PRIME = 0x01_00_01_93;

export function randomWeights(shapes: ReadonlyMap<string, readonly number[]>, seed: string): Map<string, Tensor> {
  return new Map([...shapes].map(([name, shape]) => [name, weight(name, shape, hash(`${seed}/${name}`))]));
}

function weight(name: string, shape: readonly number[], seed: number): Tensor {
  const isScale = shape.length === 1 && name.endsWith('.weight');
  const isTable = /embedding|query_tokens/.test(name) && !name.includes('patch') && !name.startsWith('time');
  const fanIn = elementCount(shape.slice(1));
  const std = isScale ? SCALE_STD : shape.length === 1 || isTable ? EMBEDDING_STD : fanIn ** -0.5;
  // Uniform numbers of this width have the deviation 1.
  const [width, mean] = [Math.sqrt(12) * std, isScale ? 1 : 0];
  const data = new Float32Array(elementCount(shape));
  let state = seed;
  for (let at = 0; at < data.length; at += 1) {
    // Marsaglia's xorshift; 2^-32 times its state is in 0..1.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    data[at] = mean + width * ((state >>> 0) / 2 ** 32 - 0.5);
  }
  return float32(data, shape);
}

/** Never 0, where xorshift would stay. */
function hash(text: string): number {
  let value = FNV_OFFSET;
  for (let at = 0; at < text.length; at += 1) value = Math.imul(value ^ text.charCodeAt(at), FNV_PRIME);
  return value === 0 ? 1 : value;
}
