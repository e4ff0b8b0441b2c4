import { digestText } from './hash.ts';

/** Names up to this length are kept as they are, so that a person can read the state. */
const longestPlain = 48;

/** Of names that a stranger chose: short, without what JSON must escape, and never a property that every object has. */
export const callerKey = (caller: string): string =>
  caller.length <= longestPlain && /^[\w.@/ -]+$/.test(caller)
    ? `=${caller}`
    : `#${digestText(caller)}`;

/** For a sentence to a person. */
export const callerName = (caller: string): string =>
  caller.length <= 100 ? caller : `${caller.slice(0, 99)}…`;

/** Shared by all for whom there is no room: strangers without number get no more than one of them would. */
export const everyoneElse = '*';
