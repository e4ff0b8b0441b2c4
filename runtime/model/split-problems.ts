import { formatProblems, type Problem, SplitError } from '../../sdk/errors.ts';

const maxKeptProblems = 100;
/** Of one fault in a config, every layer's tensors may be wrong. */
const maxShownProblems = 10;

/** The one error for a model's folder that cannot be used, with everything that is wrong with it. */
export function invalidModel(modelFolder: string, problems: readonly Problem[]): SplitError {
  const shown = problems.slice(0, maxShownProblems);
  const rest = problems.length - shown.length;
  return new SplitError(
    'CHECKPOINT_INVALID',
    `${modelFolder} cannot be split; nothing was written.\n${formatProblems(shown)}` +
      (rest > 0 ? `\n  and ${rest} more` : ''),
    { problems: problems.slice(0, maxKeptProblems) },
  );
}
