/**
 * @file The four shapes as signed functions of the plane: negative inside, zero on the outline, growing by one per pixel
 * across an edge (not Euclidean beyond corners). `radius` is nominal; it makes the shapes look equally large.
 */
import type { Shape } from './scene.ts';

const SQUARE_HALF_SIDE = 0.88;
const TRIANGLE_INRADIUS = 0.62;
const CROSS_HALF_LENGTH = 1.08;
const CROSS_HALF_WIDTH = 0.38;
const COS_30 = Math.sqrt(3) / 2;

type Distance = (x: number, y: number, radius: number) => number;

/** Of a point in the shape's own upright coordinates. Pixels, y downwards: a triangle stands on its base. */
export const DISTANCES: Readonly<Record<Shape, Distance>> = {
  circle: (x, y, radius) => Math.sqrt(x * x + y * y) - radius,
  square: (x, y, radius) => Math.max(Math.abs(x), Math.abs(y)) - SQUARE_HALF_SIDE * radius,
  triangle: (x, y, radius) => Math.max(y, COS_30 * Math.abs(x) - 0.5 * y) - TRIANGLE_INRADIUS * radius,
  cross: (x, y, radius) => {
    const [ax, ay] = [Math.abs(x), Math.abs(y)];
    const [length, width] = [CROSS_HALF_LENGTH * radius, CROSS_HALF_WIDTH * radius];
    return Math.min(Math.max(ax - length, ay - width), Math.max(ax - width, ay - length));
  },
};

/** Of radius 1. */
export const AREAS: Readonly<Record<Shape, number>> = {
  circle: Math.PI,
  square: 4 * SQUARE_HALF_SIDE ** 2,
  triangle: 3 * Math.sqrt(3) * TRIANGLE_INRADIUS ** 2,
  cross: 8 * CROSS_HALF_LENGTH * CROSS_HALF_WIDTH - 4 * CROSS_HALF_WIDTH ** 2,
};

/** Furthest point of the outline from the centre, of radius 1. */
export const REACHES: Readonly<Record<Shape, number>> = {
  circle: 1,
  square: SQUARE_HALF_SIDE * Math.SQRT2,
  triangle: 2 * TRIANGLE_INRADIUS,
  cross: Math.hypot(CROSS_HALF_LENGTH, CROSS_HALF_WIDTH),
};

/** Turning a shape by this much gives the shape again; radians. A circle looks alike at any angle. */
export const PERIODS: Readonly<Record<Shape, number>> = {
  circle: 0,
  square: Math.PI / 2,
  triangle: (2 * Math.PI) / 3,
  cross: Math.PI / 2,
};

/** A shape somewhere in the picture. Pixels and radians; pixel (column, row) has its centre at (column + .5, row + .5). */
export interface PlacedShape {
  readonly shape: Shape;
  readonly x: number;
  readonly y: number;
  readonly radius: number;
  readonly angle: number;
}

/** Signed distance of a point of the picture from a placed shape. */
export function distanceFrom({ shape, x, y, radius, angle }: PlacedShape): (px: number, py: number) => number {
  const distance = DISTANCES[shape];
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return (px, py) => distance(cos * (px - x) + sin * (py - y), cos * (py - y) - sin * (px - x), radius);
}

/** Share of a pixel that a shape covers, from the signed distance of its centre: a ramp as wide as a pixel. */
export function coverage(distance: number): number {
  return Math.min(1, Math.max(0, 0.5 - distance));
}
