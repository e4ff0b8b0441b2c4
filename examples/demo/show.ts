import { styleText } from 'node:util';

/** What the demo says on its way. */
type Format = Parameters<typeof styleText>[0];

const coloured = Boolean(process.stdout.isTTY) && !process.env.NO_COLOR;
const paint = (format: Format, text: string): string => (coloured ? styleText(format, text) : text);

export const dim = (text: string): string => paint('dim', text);
export const good = (text: string): string => paint('green', text);
export const bad = (text: string): string => paint('red', text);

export const say = (text = ''): void => void process.stdout.write(`${text}\n`);
export const write = (text: string): void => void process.stdout.write(text);

let step = 0;

/** A numbered heading and one sentence on what is about to be seen. */
export function heading(title: string, sentence: string): void {
  step += 1;
  say(`\n${paint(['bold', 'cyan'], `${step}. ${title}`)}`);
  say(`${sentence}\n`);
}

/** A command as a user would type it. */
export const command = (line: string): void => say(`${paint('bold', `$ ${line}`)}`);
