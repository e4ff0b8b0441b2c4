import { type Problem, SpecError } from '../../../sdk/errors.ts';

/** @throws {SpecError} FILTER_INVALID with every problem, where there is one */
export function failOn(problems: readonly Problem[]): void {
  const [first] = problems;
  if (!first) return;
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
  const hint = first.nearest ? ` Did you mean '${first.nearest}'?` : '';
  throw new SpecError(
    'FILTER_INVALID',
    `the filter is wrong: ${first.path} ${first.message}${first.seen ? `, got ${first.seen}` : ''}${more}.${hint}`,
    { problems },
  );
}
