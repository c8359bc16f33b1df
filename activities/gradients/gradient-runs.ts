/**
 * @file Gradients of a written file at the point of a check, and at points beside it.
 */
import { dirname } from 'node:path';

import { differentiated } from '../../models/autodiff/grad.ts';
import type { Tensor } from '../../models/onnx/dtype.ts';
import type { Value } from '../../models/onnx/graph.ts';
import { writeModel } from '../../models/onnx/protobuf.ts';
import type { Device, Session } from '../../models/runtime/device.ts';
import { errorOf } from './reals.ts';
import type { WrittenGradient } from './write-gradient.ts';

type Tensors = ReadonlyMap<string, Tensor>;

export interface RunPoint {
  /** Inputs of the model, as the written file has them. */
  readonly feeds: Tensors;
  /** Initializers by which gradients are asked for. */
  readonly weights: Tensors;
  /** By name of the output. */
  readonly cotangents: Tensors;
}

/** Two files of one gradient, relative to its largest element: other orders of sums. */
const SAME = 1e-3;

export class GradientRuns {
  readonly #device: Device;
  readonly #written: WrittenGradient;
  readonly #session: Session;
  readonly #feeds: Readonly<Record<string, Tensor>>;
  readonly #weights: Tensors;
  /** Gradients as functions of weights, too; made when they are first asked for. */
  #movable: Promise<Session> | undefined;

  private constructor(
    device: Device,
    written: WrittenGradient,
    session: Session,
    { feeds, weights, cotangents }: RunPoint,
  ) {
    this.#device = device;
    this.#written = written;
    this.#session = session;
    this.#weights = weights;
    const named = [...cotangents].map(([name, tensor]) => [`cotangent.${name}`, tensor] as const);
    this.#feeds = Object.fromEntries([...feeds, ...named]);
  }

  /** @throws RefereeError for a file that onnxruntime refuses */
  static async open(device: Device, written: WrittenGradient, point: RunPoint): Promise<GradientRuns> {
    const { bytes, path } = written;
    const session = await device.load(bytes, { name: path, weightsRoot: dirname(path) });
    return new GradientRuns(device, written, session, point);
  }

  /** All that the written file makes at the point. */
  async all(): Promise<Tensors> {
    return new Map(Object.entries(await this.#session.run(this.#feeds)));
  }

  /**
   * The gradient by an input or a weight as a function of it. Weights stand in the written file, and what was computed of
   * them beforehand as well, so they are moved in another file, of the same model and rules; undefined if that is not the
   * same gradient as `expected`, the one of the written file at the point `x`.
   */
  async along(
    { name }: Value,
    { x, expected }: { readonly x: Tensor; readonly expected: Tensor },
  ): Promise<((moved: Tensor) => Promise<Tensor>) | undefined> {
    const isInput = this.#written.graph.inputs.some((input) => input.name === name);
    const at = async (moved: Tensor): Promise<Tensor> => {
      if (isInput) return this.#only(this.#session, name, { ...this.#feeds, [name]: moved });
      return this.#only(await this.#withWeights(), name, {
        ...this.#feeds,
        ...Object.fromEntries(this.#weights),
        [name]: moved,
      });
    };
    return isInput || errorOf(await at(x), expected) <= SAME ? at : undefined;
  }

  #withWeights(): Promise<Session> {
    const { graph, of, wrt, source } = this.#written;
    const isMoved = (value: Value): boolean => this.#weights.has(value.name);
    const movable = {
      ...graph,
      inputs: [...graph.inputs, ...graph.initializers.map(({ value }) => value).filter(isMoved)],
      initializers: graph.initializers.filter(({ value }) => !isMoved(value)),
    };
    const names = (values: readonly Value[]): string[] => values.map(({ name }) => name);
    this.#movable ??= this.#device.load(
      writeModel(differentiated(movable, { of: names(of), wrt: names(wrt) }), { weightsRoot: source.folder }),
      { name: `${source.name}, weights moved`, weightsRoot: source.folder },
    );
    return this.#movable;
  }

  async #only(session: Session, name: string, feeds: Readonly<Record<string, Tensor>>): Promise<Tensor> {
    const wanted = `gradient.${name}`;
    return (await session.run(feeds, [wanted]))[wanted]!;
  }
}
