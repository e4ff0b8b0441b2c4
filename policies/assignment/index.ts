import type { Policy } from '../../sdk/policy.ts';
import leastBusyBlock from './least-busy-block.ts';

/** One line a file of this folder. */
export const assignments = [leastBusyBlock] as const satisfies readonly Policy<'assignment'>[];
