import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';
import { allocate, allocatorParameters } from '../support/allocate.ts';
import { rankByMode, selectionMode } from '../support/selection-mode.ts';

/** AIOS's allocator for language models: several devices of one machine, none of them busy. */
export default definePolicy({
  hook: 'resourceAllocator',
  name: 'policy.resourceAllocator.multi-gpu-llm',
  version: 'v0.1.0',
  description:
    'Gives each instance several GPUs of one node that are free and idle enough. Choose it for models that span devices.',
  parameters: allocatorParameters,
  settings: z.strictObject({ selection_mode: selectionMode.default('balanced') }),
  evaluate: (input, { parameters, settings }) =>
    allocate(input, parameters, (node) => rankByMode(settings.selection_mode, node)),
});
