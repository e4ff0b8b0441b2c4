import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';

/** The default. */
export default definePolicy({
  hook: 'preemption',
  name: 'fewest-victims',
  version: '1.0.0',
  description:
    'Takes the place of the fewest instances, of the lowest priority among equals. Choose it so that important blocks always run.',
  parameters: z.strictObject({}),
  settings: z.strictObject({}),
  evaluate({ options }) {
    const cost = ({ victims }: (typeof options)[number]): number =>
      victims.reduce((sum, { priority }) => sum + priority, 0);
    const [best] = options
      .map((option, at) => ({ option, at }))
      .sort(
        (a, b) =>
          a.option.victims.length - b.option.victims.length || cost(a.option) - cost(b.option),
      );
    return best ? { option: best.at } : { refused: 'nothing of lower priority would make room' };
  },
});
