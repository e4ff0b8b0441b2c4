import { definePolicy } from '../../sdk/policy.ts';
import {
  afterThreshold,
  stabilityParameters,
  stabilitySettings,
} from '../support/restart-after.ts';

/** AIOS's checker for large models: restarting one where it is keeps its weights on the machine. */
export default definePolicy({
  hook: 'stabilityChecker',
  name: 'policy.stabilityChecker.retry-on-fail',
  version: 'v0.1.0',
  description:
    'Restarts an instance that was unhealthy several checks in a row. Choose it where starting somewhere else is dear.',
  parameters: stabilityParameters,
  settings: stabilitySettings,
  evaluate: (input, context) => afterThreshold(input, context, () => 'restart'),
});
