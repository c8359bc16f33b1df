/** @file The public interface of `referee/judge`. */
export { parsePrompt, promptText } from './prompt.ts';
export { COLOURS, PALETTE, RELATIONS, SHAPES, askedObjects } from './scene.ts';
export type { Colour, Kind, Relation, Rgb, SceneGroup, SceneSpec, Shape } from './scene.ts';
export { scoreTable, shareOf, wilson95 } from './score.ts';
export type { ScoreRow, ScoredItem, Share } from './score.ts';
export type { Pixels } from './picture.ts';
export type { Fault, Strictness } from './shape-rules.ts';
export { judgeImage } from './verdict.ts';
export type { Detection, JudgeOptions, Verdict } from './verdict.ts';
