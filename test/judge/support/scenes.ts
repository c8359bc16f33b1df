/** @file Scenes for tests: placed by hand, or many at random with true and wrong descriptions. */
import type { PlacedObject, Scene } from '../../../judge/render.ts';
import { randomScene, trueSpec, wrongSpec } from '../../../judge/placement.ts';
import type { Random } from '../../../judge/random.ts';
import { PALETTE, type Colour, type SceneSpec, type Shape } from '../../../judge/scene.ts';

export const GROUND = [0.88, 0.88, 0.88] as const;

/** An upright object of radius 9 unless said otherwise. */
export function placed(
  colour: Colour,
  shape: Shape,
  at: Pick<PlacedObject, 'x' | 'y'> & Partial<PlacedObject>,
): PlacedObject {
  return { colour, shape, paint: PALETTE[colour], radius: 9, angle: 0, ...at };
}

export interface DescribedScene {
  readonly scene: Scene;
  readonly right: SceneSpec;
  readonly wrong: SceneSpec;
}

export function describedScenes(count: number, random: Random): DescribedScene[] {
  return Array.from({ length: count }, () => {
    const scene = randomScene(random);
    const right = trueSpec(scene, random);
    return { scene, right, wrong: wrongSpec(right, scene, random) };
  });
}
