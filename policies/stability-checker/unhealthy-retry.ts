import { definePolicy } from '../../sdk/policy.ts';
import {
  afterThreshold,
  stabilityParameters,
  stabilitySettings,
} from '../support/restart-after.ts';

/** AIOS's checker for small blocks: what a restart does not cure, another node may. */
export default definePolicy({
  hook: 'stabilityChecker',
  name: 'policy.stabilityChecker.unhealthy-retry',
  version: 'v0.0.1',
  description:
    'Restarts an instance that stays unhealthy, and moves it when that did not help. Choose it for blocks that start quickly.',
  parameters: stabilityParameters,
  settings: stabilitySettings,
  evaluate: (input, context) =>
    afterThreshold(input, context, (again) => (again ? 'reassign' : 'restart')),
});
