import { expect, test } from 'vitest';

import { decode, parseAutoencoderKlConfig } from '../../../models/architectures/autoencoder-kl.ts';
import { vjp } from '../../../models/autodiff/differentiate.ts';
import { Scope } from '../../../models/nn/scope.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import { checkGraph } from '../../../models/onnx/check.ts';
import type { Graph } from '../../../models/onnx/graph.ts';
import { writeModel } from '../../../models/onnx/protobuf.ts';
import type { Kernels } from '../../../models/packs/kernels.ts';
import { adjointRules, finished } from '../../../models/packs/kernels.ts';
import { expectClose } from '../../support/close.ts';
import { fixturePath, readFixture, tensorOf } from '../../support/fixtures.ts';
import { fromOrt, openModel, toOrt } from '../../support/run-graph.ts';
import { fixtureConfig, openWeights } from '../../support/weights.ts';

const FOLDER = 'autoencoder-kl';
const recorded = readFixture(`${FOLDER}/reference-decode.safetensors`);

/** The recorded decoder with its gradient, as packs have it. */
async function decoderOf(kernels: Kernels): Promise<Graph> {
  const source = await openWeights(fixturePath(`${FOLDER}/diffusion_pytorch_model.safetensors`));
  const b = new GraphBuilder('decoder');
  const latent = b.input('latent', 'float32', ['B', ...tensorOf(recorded, 'input.latent').shape.slice(1)]);
  const config = parseAutoencoderKlConfig(fixtureConfig(FOLDER), 'config.json');
  const image = decode(b, new Scope(source), config, latent);
  const cotangent = b.input('cotangent', 'float32', image.shape);
  const [gradient] = vjp(b, [{ value: image, cotangent }], [latent], { overrides: adjointRules(b, kernels) });
  b.output('image', image);
  b.output('gradient', gradient!);
  return finished(b.build(), kernels);
}

test.each<Kernels>(['cpu', 'any'])('kernels %s: a decoder and its gradient as recorded from PyTorch', async (kernels) => {
  const graph = checkGraph(await decoderOf(kernels));
  const operators = new Set(graph.nodes.map((node) => node.op));
  expect(operators.has('GroupNormalization')).toBe(false);
  expect(operators.has('BatchNormalization')).toBe(kernels === 'cpu');
  for (const operator of ['Resize', 'AveragePool']) expect(operators.has(operator), operator).toBe(kernels === 'any');
  const feeds = {
    latent: toOrt(tensorOf(recorded, 'input.latent')),
    cotangent: toOrt(tensorOf(recorded, 'cotangent.image')),
  };
  const session = await openModel(writeModel(graph));
  // Twice: no call leaves anything behind for the next.
  for (const _ of [1, 2]) {
    const results = await session.run(feeds);
    const [image, gradient] = [fromOrt(results['image']!), fromOrt(results['gradient']!)];
    expectClose(image, tensorOf(recorded, 'output.image'), { rtol: 1e-5, atol: 2e-5 });
    expectClose(gradient, tensorOf(recorded, 'gradient.latent'), { rtol: 1e-4, atol: 1e-4 });
  }
  await session.release();
});
