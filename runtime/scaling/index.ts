/**
 * What changes by itself: how many instances a block has, which of them are restarted, which nodes take new ones.
 *
 * @module
 */
export { type CordonCommands, createCordonCommands } from './cordon-commands.ts';
export { type Cordons, openCordons } from './cordons.ts';
export { createScaling, type Scaling } from './create-scaling.ts';
export type { ScaleWish, ScalingParts } from './parts.ts';
export { createScaleBlock } from './scale-block.ts';
