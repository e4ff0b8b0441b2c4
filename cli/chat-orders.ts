import { AiosError } from '../sdk/errors.ts';
import { nearest } from '../sdk/nearest.ts';

const orders = {
  new: 'forgets the conversation and starts another',
  help: 'lists these',
  exit: 'ends, as Ctrl-D does',
} as const;
type Order = keyof typeof orders;

export const orderHelp = Object.entries(orders)
  .map(([name, meaning]) => `  /${name.padEnd(6)}${meaning}`)
  .join('\n');

/**
 * @param line - as it was written: with a space before it, `/usr is what?` is a question
 * @returns what a line that begins with `/` orders; undefined for a question
 * @throws {AiosError} REQUEST_INVALID - no order there is, which a model would only guess at
 */
export function readOrder(line: string): Order | undefined {
  if (!line.startsWith('/')) return undefined;
  const word = line.slice(1).trim();
  if (word === 'quit') return 'exit';
  const names = Object.keys(orders) as Order[];
  const known = names.find((name) => name === word);
  if (known) return known;
  const close = nearest(word, names);
  throw new AiosError(
    'REQUEST_INVALID',
    `there is no /${word.slice(0, 40)}${close ? `; did you mean /${close}?` : '.'} /help lists what there is; a question may begin with a space, then /.`,
  );
}
