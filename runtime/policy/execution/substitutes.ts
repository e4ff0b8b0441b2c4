import { substituteFor } from '../../../sdk/hooks/optional.ts';
import type { PolicyRunner } from '../runner.ts';

/**
 * Answers the optional actions of a hook in a policy's place, as `definePolicy` does for one written with it.
 *
 * @param actions - those that the policy answers itself
 */
export function withSubstitutes(runner: PolicyRunner, actions: readonly string[]): PolicyRunner {
  return {
    async run(request) {
      const { hook, input, command, state } = request;
      const { action } = (input ?? {}) as { readonly action?: string };
      const isOwn = command !== undefined || action === undefined || actions.includes(action);
      const substitute = isOwn ? undefined : substituteFor(hook, action);
      if (!substitute) return runner.run(request);
      // A substitute asks at most once, and the answer comes from elsewhere: it is run to hear the question, and again.
      let asked: object | undefined;
      const output = substitute(input as never, (question) => {
        asked = question;
        return {};
      });
      if (!asked) return { output, state, logs: [] };
      const answer = await runner.run({ ...request, input: asked });
      return { ...answer, output: substitute(input as never, () => answer.output) };
    },
  };
}
