import { type Problem, SplitError } from '../../sdk/errors.ts';
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
  const layers = outline.layers.length;
  const problems: Problem[] = [];
  for (const [index, first] of answer.firstLayers.entries()) {
    const previous = answer.firstLayers[index - 1];
    const lowest = previous === undefined ? 0 : previous + 1;
    const highest = previous === undefined ? 0 : layers - 1;
    if (Number.isInteger(first) && first >= lowest && first <= highest) continue;
    problems.push({
      path: `$.firstLayers[${index}]`,
      message: 'each shard begins after the one before it, the first at layer 0.',
      expected: highest === lowest ? String(lowest) : `${lowest} to ${highest}`,
      seen: String(first),
    });
    if (problems.length >= 20) break;
  }
  if (answer.firstLayers.length === 0) {
    problems.push({ path: '$.firstLayers', message: 'is empty.', expected: '[0] or more cuts' });
  }
  if (problems.length === 0) return answer.firstLayers;
  throw new SplitError(
    'SPLIT_PLAN_INVALID',
    `planner '${planner}' cut model '${outline.name}' of ${layers} layers at [${answer.firstLayers.slice(0, 20)}], ` +
      'which does not cover every layer once.',
    { problems },
  );
}
