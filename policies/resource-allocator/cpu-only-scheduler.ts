import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';
import { allocate, allocatorParameters } from '../support/allocate.ts';
import { rankByMode, selectionMode } from '../support/selection-mode.ts';

/** AIOS's allocator for blocks without devices. */
export default definePolicy({
  hook: 'resourceAllocator',
  name: 'policy.resourceAllocator.cpu-only-scheduler',
  version: 'v1',
  description:
    'Places by cores and memory alone, on the least loaded node. Choose it for blocks that need no GPU.',
  parameters: allocatorParameters,
  settings: z.strictObject({ selection_mode: selectionMode.default('lightest-load') }),
  evaluate: (input, { parameters, settings }) =>
    allocate(input, parameters, (node) =>
      rankByMode(settings.selection_mode, { ...node, gpus: [] }),
    ),
});
