import { definePolicy } from '../../sdk/policy.ts';
import {
  afterThreshold,
  stabilityParameters,
  stabilitySettings,
} from '../support/restart-after.ts';

/** Choose it where a process can run and yet not work. */
export default definePolicy({
  hook: 'stabilityChecker',
  name: 'restart-unhealthy',
  version: '1.0.0',
  description:
    'Restarts an instance that was unhealthy so many checks in a row. Choose it where processes can hang without ending.',
  parameters: stabilityParameters,
  settings: stabilitySettings,
  evaluate: (input, context) => afterThreshold(input, context, () => 'restart'),
});
