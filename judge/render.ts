/**
 * @file Draws scenes of the shapes world: anti-aliased shapes on a plain ground, later objects over earlier ones. For
 * tests and benchmarks of the judge, which has to accept exactly what this draws.
 */
import { coverage, distanceFrom, type PlacedShape } from './geometry.ts';
import { SIZE } from './picture.ts';
import type { Colour, Rgb } from './scene.ts';

/** An object with its place and its actual paint, which is near its colour's. */
export interface PlacedObject extends PlacedShape {
  readonly colour: Colour;
  readonly paint: Rgb;
}

export interface Scene {
  readonly ground: Rgb;
  readonly objects: readonly PlacedObject[];
}

/** What is laid onto the canvas: at a pixel's centre, which paint and how much of it (0..1). */
export type Layer = (x: number, y: number) => { readonly paint: Rgb; readonly opacity: number };

/** A well-formed object as a layer. */
export function objectLayer(object: PlacedObject): Layer {
  const distance = distanceFrom(object);
  return (x, y) => ({ paint: object.paint, opacity: coverage(distance(x, y)) });
}

/** Bytes [64, 64, 3]. */
export function drawScene({ ground, objects }: Scene): Uint8Array {
  return drawLayers(ground, objects.map(objectLayer));
}

/** Bytes [64, 64, 3]: layers over a ground, first one lowest. */
export function drawLayers(ground: Rgb, layers: readonly Layer[]): Uint8Array {
  const pixels = new Uint8Array(SIZE * SIZE * 3);
  for (let at = 0; at < SIZE * SIZE; at += 1) {
    const [x, y] = [(at % SIZE) + 0.5, Math.floor(at / SIZE) + 0.5];
    let colour = ground;
    for (const layer of layers) {
      const { paint, opacity } = layer(x, y);
      if (opacity > 0) colour = mix(colour, paint, opacity);
    }
    colour.forEach((value, channel) => {
      pixels[at * 3 + channel] = Math.floor(Math.min(1, Math.max(0, value)) * 255 + 0.5);
    });
  }
  return pixels;
}

function mix(under: Rgb, over: Rgb, opacity: number): Rgb {
  return [
    under[0] + opacity * (over[0] - under[0]),
    under[1] + opacity * (over[1] - under[1]),
    under[2] + opacity * (over[2] - under[2]),
  ];
}
