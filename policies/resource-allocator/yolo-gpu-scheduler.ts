import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';
import { allocate, allocatorParameters } from '../support/allocate.ts';
import { rankByMode, selectionMode } from '../support/selection-mode.ts';

/** AIOS's allocator for detectors: one device each, packed so that whole machines stay free. */
export default definePolicy({
  hook: 'resourceAllocator',
  name: 'policy.resourceAllocator.yolo-gpu-scheduler',
  version: 'v0.0.1',
  releaseTag: 'beta',
  description:
    'Gives each instance one GPU that is free and idle enough, filling nodes first. Choose it for small models in numbers.',
  parameters: allocatorParameters,
  settings: z.strictObject({ selection_mode: selectionMode.default('greedy') }),
  evaluate: (input, { parameters, settings }) =>
    allocate(input, parameters, (node) => rankByMode(settings.selection_mode, node)),
});
