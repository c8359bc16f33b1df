/**
 * @file Points to compare gradients at: pictures that look a little like text, sounds like a vowel, bytes of prose, noise.
 */
import { randomTensor } from '../../activities/gradients/check-inputs.ts';
import { realsOf } from '../../activities/gradients/reals.ts';
import type { DType, Tensor } from '../../models/onnx/dtype.ts';
import { elementCount, float32, int64 } from '../../models/onnx/dtype.ts';
import type { Holds } from './networks.ts';

/** White with dark strokes of letters' size, -1..1, a soft edge, the grain of a camera. */
function picture(shape: readonly number[], stream: number): Tensor {
  const grain = realsOf(normals('float32', shape, stream));
  const [, channels, height, width] = shape as [number, number, number, number];
  const pixel = (at: number): number => {
    const [y, x] = [Math.floor(at / width) % height, at % width];
    const isLetter = x % 24 < 16 && (y % 48) / 48 > 0.2 && (y % 48) / 48 < 0.8;
    const stroke =
      Math.cos((x % 24) * 0.8 + Math.floor(x / 24)) + Math.cos(((y % 48) / 48) * 14 + Math.floor(x / 24) * 2);
    return isLetter ? Math.tanh(-2 * stroke) : 0.9;
  };
  const plane = height * width;
  return float32(
    Float32Array.from({ length: shape[0]! * channels * plane }, (_, at) => pixel(at % plane) + 0.05 * grain[at]!),
    shape,
  );
}

/** 120 Hz and its harmonics at 16 kHz, with some noise: of silent frequencies the amplitude has no derivative. */
function sound(shape: readonly number[], stream: number): Tensor {
  const noise = realsOf(normals('float32', shape, stream));
  const value = (at: number): number =>
    [1, 2, 3, 4, 6, 9].reduce(
      (sum, k) => sum + (0.15 / k) * Math.sin((2 * Math.PI * 120 * k * at) / 16000 + k),
      0.02 * noise[at]!,
    );
  return float32(
    Float32Array.from({ length: elementCount(shape) }, (_, at) => value(at)),
    shape,
  );
}

/** A program, line by line, no two lines alike: of equal windows nobody knows which is the largest. */
function text(shape: readonly number[]): Tensor {
  const lines = Array.from(
    { length: 60 },
    (_, at) => `def f${at * at}(x):\n    return x + ${at * 7 + 1} * f${at}(x)\n\n`,
  );
  const prose = ['import numpy as np\n\n', ...lines].join('');
  return {
    dtype: 'int32',
    shape,
    data: Int32Array.from({ length: elementCount(shape) }, (_, at) => prose.charCodeAt(at)),
  };
}

/** Numbers of words, between the marks of beginning and end that BERT's vocabulary has. */
function tokens(shape: readonly number[]): Tensor {
  const count = elementCount(shape);
  const word = (at: number): number => (at === 0 ? 101 : at === count - 1 ? 102 : 1996 + ((at * at * 37) % 20_000));
  return int64(
    Array.from({ length: count }, (_, at) => word(at)),
    shape,
  );
}

/** What a network is fed with, the same every time. */
export function pointOf(holds: Holds, shape: readonly number[], stream: number): Tensor {
  if (typeof holds === 'number')
    return int64(
      Array.from({ length: elementCount(shape) }, () => holds),
      shape,
    );
  if (holds === 'picture') return picture(shape, stream);
  if (holds === 'sound') return sound(shape, stream);
  if (holds === 'text') return text(shape);
  if (holds === 'tokens') return tokens(shape);
  return normals('float32', shape, stream);
}

/** Normal numbers, the same for the same stream. */
export function normals(dtype: DType, shape: readonly number[], stream: number): Tensor {
  return randomTensor(dtype, shape, 0, stream);
}
