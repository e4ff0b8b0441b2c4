import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';

const minuteMs = 60_000;
const dayMinutes = 24 * 60;

/** `08:30` → minutes since midnight. */
const timeOfDay = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d$/, "a time such as '08:30'")
  .transform((text) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3)));

const schedule = z.strictObject({
  from: timeOfDay,
  /** Earlier than `from`: the next day. */
  to: timeOfDay,
  /** 0 is Sunday; left out: every day. Of a window over midnight, the day it begins. */
  days: z.array(z.number().int().min(0).max(6)).optional(),
  instances: z.number().int().nonnegative(),
});

/** Choose it where people come at known hours. */
export default definePolicy({
  hook: 'autoscaler',
  name: 'schedule',
  version: '1.0.0',
  description:
    'Runs so many instances at such hours of such days. Choose it where the load is known beforehand.',
  parameters: z.strictObject({
    /** The first that holds now counts. */
    windows: z.array(schedule).max(200).default([]),
    /** Outside of all windows; left out: the block's minimum. */
    otherwise: z.number().int().nonnegative().optional(),
    /** East is positive: 330 in India. */
    utc_offset_minutes: z.number().int().min(-840).max(840).default(0),
  }),
  settings: z.strictObject({ intervalSeconds: z.number().positive().default(30) }),
  evaluate({ block }, { now, parameters }) {
    const local = Math.floor(now / minuteMs) + parameters.utc_offset_minutes;
    const minute = ((local % dayMinutes) + dayMinutes) % dayMinutes;
    // The first of January 1970 was a Thursday.
    const day = (((Math.floor(local / dayMinutes) + 4) % 7) + 7) % 7;
    const holds = ({ from, to, days }: (typeof parameters.windows)[number]): boolean => {
      const over = to <= from;
      const afterMidnight = over && minute < to;
      const inside = over ? minute >= from || minute < to : minute >= from && minute < to;
      return inside && (days?.includes(afterMidnight ? (day + 6) % 7 : day) ?? true);
    };
    const window = parameters.windows.find(holds);
    const wanted = window?.instances ?? parameters.otherwise ?? block.minInstances;
    const next = Math.max(block.minInstances, Math.min(block.maxInstances, wanted));
    return next === block.instances.length
      ? { hold: true }
      : {
          instances: next,
          reason: window ? `the schedule asks for ${wanted}` : 'outside of all windows',
        };
  },
});
