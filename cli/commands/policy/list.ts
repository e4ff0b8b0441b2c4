import { hookNames } from '../../../sdk/hooks.ts';
import { defineCommand } from '../../command.ts';

export const policyList = defineCommand({
  usage: 'policy list',
  summary: 'Lists policies, built-in and published, by hook',
  examples: [
    ['aios policy list --hook autoscaler', 'which ones there are, and when to choose each'],
  ],
  options: (parser) => parser.option('hook', { choices: hookNames, describe: 'Of one hook only' }),
  async run({ hook }, context) {
    const all = await context.client.list('policy');
    const shown = all.filter((policy) => hook === undefined || policy.hook === hook);
    context.result(shown, () =>
      context.table(
        ['hook', 'uri', 'description'],
        shown.map(({ hook: of, uri, description }) => [of, uri, description]),
      ),
    );
  },
});
