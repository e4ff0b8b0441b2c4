import { definePolicy } from '../../sdk/policy.ts';
import {
  actOn,
  countUnhealthy,
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
  evaluate(input, context) {
    const counts = countUnhealthy(input, context.state);
    context.state = { counts };
    const { unhealthy_threshold: threshold } = context.parameters;
    return actOn(counts, threshold, (_, count) =>
      count >= 2 * threshold ? 'reassign' : 'restart',
    );
  },
});
