import { type AiosError, type ErrorCode, errorCodes, formatProblems } from '../sdk/errors.ts';
import type { Io } from './io.ts';
import { styleFor } from './style.ts';

/** What only the command line knows to do about an error. */
const hints: { readonly [code in ErrorCode]?: string } = {
  UNAUTHENTICATED: 'give one of its keys in AIOS_API_KEY.',
};

/** More of them push the sentence that says what happened off the screen. */
const maxShownProblems = 10;
/** The last line of a sentence that lists only the first of its problems. */
const restLine = /^ {2}and (\d+) more$/;

/** The problems below an error's sentence: only what the sentence does not already say. */
function renderProblems(sentence: string, problems: AiosError['problems']): string {
  const says = (text: string): boolean => sentence.includes(text.replace(/\.$/, ''));
  const [only, ...others] = problems;
  if (!only) return '';
  if (others.length === 0 && says(only.message)) {
    const { path, expected, seen, nearest } = only;
    const rest = [
      says(path) ? '' : path,
      expected && !says(expected) ? `expected ${expected}` : '',
      seen && !says(seen) ? `got ${seen}` : '',
      nearest && !says(nearest) ? `did you mean '${nearest}'?` : '',
    ].filter(Boolean);
    return rest.length === 0 ? '' : `  ${rest.join('; ')}`;
  }
  const all = problems.every(
    ({ path, message, expected }) => says(path) && says(message) && says(expected ?? ''),
  );
  return all ? '' : formatProblems(problems.slice(0, maxShownProblems));
}

/** An error for people. Some sentences list their problems for those who see nothing else; here each stands once. */
export function renderError(error: AiosError, bad: (text: string) => string): string {
  const listed = new Set(formatProblems(error.problems).split('\n'));
  const lines = error.message.split('\n');
  const sentence = lines.filter((line) => !listed.has(line) && !restLine.test(line)).join('\n');
  const said = lines.flatMap((line) => restLine.exec(line)?.[1] ?? []).map(Number);
  const problems = renderProblems(sentence, error.problems);
  const head = error.problems.length > 1 ? sentence.replace(/, the first at .*$/s, ':') : sentence;
  const left = said[0] ?? (problems === '' ? 0 : error.problems.length - maxShownProblems);
  const rest = left > 0 ? `  and ${left} more` : '';
  return [`${bad(error.code)} ${head}`, problems, rest, hints[error.code] ?? '']
    .filter(Boolean)
    .join('\n');
}

/** Writes an error to standard error. @returns the exit code */
export function report(error: AiosError, json: boolean, io: Io): number {
  if (json) {
    io.stderr.write(`${JSON.stringify({ error: error.serialize() })}\n`);
  } else if (error.code !== 'CANCELLED') {
    io.stderr.write(`${renderError(error, styleFor(io.stderr, io.env).bad)}\n`);
  }
  if (io.env.AIOS_DEBUG && error.stack) io.stderr.write(`${error.stack}\n`);
  return errorCodes[error.code].exit;
}
