/**
 * @file Sends pictures through a pack's autoencoder, so that the judge meets what a decoder makes of good and of
 * malformed drawings.
 */
import { decode, encode } from '../models/architectures/autoencoder-kl.ts';
import { Scope } from '../models/nn/scope.ts';
import { GraphBuilder } from '../models/onnx/builder.ts';
import { float32 } from '../models/onnx/dtype.ts';
import * as op from '../models/onnx/ops.ts';
import { writeModel } from '../models/onnx/protobuf.ts';
import { openParts, type PackParts } from '../models/packs/parts.ts';
import { openPack } from '../models/packs/resolve.ts';
import { openDevice } from '../models/runtime/node-device.ts';
import type { Random } from '../judge/random.ts';

/** Pictures [3, 64, 64] in 0..1, to what the decoder makes of their latents; `noise` in deviations of a latent. */
export type Reconstruct = (
  pictures: readonly Float32Array[],
  options: { readonly noise: number; readonly random: Random },
) => Promise<Float32Array[]>;

export interface Reconstruction {
  readonly reconstruct: Reconstruct;
  close(): Promise<void>;
}

const ROWS = 20;

/** The autoencoder of a pack, by name or folder, on the processor. */
export async function openReconstruction(pack: string): Promise<Reconstruction> {
  const parts = await openParts(await openPack(pack));
  const device = await openDevice({ provider: 'cpu' });
  const session = await device.load(writeModel(reconstructionGraph(parts)), {
    name: 'reconstruction',
    weightsRoot: '/',
  });
  const deviation = 1 / parts.decoder.config.scaling_factor;
  const latentSize = parts.latentShape.reduce((product, size) => product * size, 1);
  return {
    close: () => device.close(),
    reconstruct: async (pictures, { noise, random }) => {
      const results: Float32Array[] = [];
      for (let at = 0; at < pictures.length; at += ROWS) {
        const rows = pictures.slice(at, at + ROWS);
        const images = Float32Array.from(rows.flatMap((row) => [...row]));
        const drawn = Float32Array.from(
          { length: rows.length * latentSize },
          () => noise * deviation * random.normal(),
        );
        const { decoded } = await session.run({
          image: float32(images, [rows.length, 3, ...parts.imageSize]),
          noise: float32(drawn, [rows.length, ...parts.latentShape]),
        });
        const values = decoded!.data as Float32Array;
        const size = values.length / rows.length;
        rows.forEach((_, row) => results.push(values.slice(row * size, (row + 1) * size)));
      }
      return results;
    },
  };
}

/** image [B, 3, H, W] in 0..1, noise [B, C, h, w] -> decoded: decode(mean of encode(image) + noise), in 0..1. */
function reconstructionGraph({ decoder, latentShape, imageSize }: PackParts): ReturnType<GraphBuilder['build']> {
  const b = new GraphBuilder('reconstruction');
  const scope = new Scope(decoder.weights, { model: 'vae' });
  const image = b.input('image', 'float32', ['B', 3, ...imageSize]);
  const noise = b.input('noise', 'float32', ['B', ...latentShape]);
  const signed = op.sub(b, op.mul(b, image, b.scalar(2)), b.scalar(1));
  const latent = op.add(b, encode(b, scope, decoder.config, signed).mean, noise);
  const decoded = decode(b, scope, decoder.config, latent);
  b.output('decoded', op.add(b, op.mul(b, decoded, b.scalar(0.5)), b.scalar(0.5)));
  return b.build();
}
