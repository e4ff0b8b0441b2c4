import { styleText } from 'node:util';
import type { Io, Output } from './io.ts';

/** Colours for people. Every function is the identity where nobody looks. */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  good(text: string): string;
  bad(text: string): string;
  warn(text: string): string;
  accent(text: string): string;
}

const identity = (text: string): string => text;
export const plainStyle: Style = {
  bold: identity,
  dim: identity,
  good: identity,
  bad: identity,
  warn: identity,
  accent: identity,
};

const colourStyle: Style = {
  bold: (text) => styleText('bold', text),
  dim: (text) => styleText('dim', text),
  good: (text) => styleText('green', text),
  bad: (text) => styleText('red', text),
  warn: (text) => styleText('yellow', text),
  accent: (text) => styleText('cyan', text),
};

/** Colour on a terminal, or where `FORCE_COLOR` asks for it; never where `NO_COLOR` is set (https://no-color.org). */
export function styleFor(output: Output, env: Io['env']): Style {
  const wanted = env.FORCE_COLOR || (output.isTTY && env.TERM !== 'dumb');
  return wanted && !env.NO_COLOR ? colourStyle : plainStyle;
}
