import { type Problem, SplitError, shorten } from '../../sdk/errors.ts';
import type { HookOutput } from '../../sdk/hooks.ts';
import type { ModelOutline } from '../../sdk/splitter.ts';

/**
 * Checks a planner's answer against the model.
 *
 * @returns index of each shard's first layer
 * @throws {SplitError} SPLIT_INFEASIBLE - the planner says so; SPLIT_PLAN_INVALID - the cuts do not cover every layer once
 */
export function checkedCuts(
  answer: HookOutput<'splitPlanner', 'plan'>,
  outline: ModelOutline,
  planner: string,
): readonly number[] {
  if ('infeasible' in answer) {
    throw new SplitError(
      'SPLIT_INFEASIBLE',
      `model '${outline.name}' cannot be split: ${answer.infeasible}`,
      { details: { planner } },
    );
  }
  const problems = cutProblems(answer.firstLayers, outline.layers.length);
  if (problems.length === 0) return answer.firstLayers;
  throw uncovered(`planner '${planner}' cut`, outline, answer.firstLayers, problems);
}

/**
 * Checks cuts that may be anyone's: a splitter of an author's may give a built-in one a `plan` of its own.
 *
 * @throws {SplitError} SPLIT_PLAN_INVALID - they do not cover every layer once
 */
export function assertCuts(firstLayers: unknown, outline: ModelOutline): readonly number[] {
  const problems = cutProblems(firstLayers, outline.layers.length);
  if (problems.length === 0) return firstLayers as readonly number[];
  throw uncovered('the plan of the splitter cuts', outline, firstLayers, problems);
}

const maxProblems = 20;

function cutProblems(firstLayers: unknown, layers: number): Problem[] {
  const expected = 'the index of each first layer, such as [0] or [0, 4]';
  if (!Array.isArray(firstLayers)) {
    const message = 'is no list of cuts.';
    return [{ path: '$.firstLayers', message, expected, seen: shorten(firstLayers) }];
  }
  if (firstLayers.length === 0) return [{ path: '$.firstLayers', message: 'is empty.', expected }];
  const problems: Problem[] = [];
  for (const [index, first] of firstLayers.entries()) {
    const previous: unknown = firstLayers[index - 1];
    const lowest = typeof previous === 'number' ? previous + 1 : 0;
    const highest = index === 0 ? 0 : layers - 1;
    if (Number.isInteger(first) && first >= lowest && first <= highest) continue;
    problems.push({
      path: `$.firstLayers[${index}]`,
      message: 'each shard begins after the one before it, the first at layer 0.',
      expected: expectedCut(lowest, highest),
      seen: shorten(first),
    });
    if (problems.length >= maxProblems) break;
  }
  return problems;
}

function expectedCut(lowest: number, highest: number): string {
  if (lowest > highest) return 'no further shard';
  return highest === lowest ? String(lowest) : `${lowest} to ${highest}`;
}

function uncovered(
  who: string,
  { name, layers }: ModelOutline,
  cuts: unknown,
  problems: readonly Problem[],
): SplitError {
  const where = shorten(Array.isArray(cuts) ? cuts.slice(0, maxProblems) : cuts);
  return new SplitError(
    'SPLIT_PLAN_INVALID',
    `${who} model '${name}' of ${layers.length} layers at ${where}, which does not cover every layer once.`,
    { problems },
  );
}
