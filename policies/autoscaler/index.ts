import type { Policy } from '../../sdk/policy.ts';
import hold from './hold.ts';

/** One line a file of this folder. */
export const autoscalers = [hold] as const satisfies readonly Policy<'autoscaler'>[];
