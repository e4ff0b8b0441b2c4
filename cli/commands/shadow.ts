import { AiosError } from '../../sdk/errors.ts';
import { defineCommand } from '../command.ts';
import { renderShadows } from '../replay.ts';
import { jsonOption } from './replay.ts';

export const shadow = defineCommand({
  usage: 'shadow [hook] [uri]',
  summary: 'Tries a policy beside the live one, without effect, and reports where they differ',
  examples: [
    ['aios shadow resourceAllocator spread:1.0.0-stable', 'from now on asked what the live one is'],
    ['aios shadow', 'how often it agreed, and the newest questions at which it did not'],
    ['aios shadow --off resourceAllocator', 'ends it'],
  ],
  options: (parser) =>
    parser
      .positional('hook', { type: 'string', describe: 'Such as resourceAllocator' })
      .positional('uri', { type: 'string', describe: 'Of the policy to try' })
      .option('parameters', {
        type: 'string',
        nargs: 1,
        describe: "JSON; left out: those of the live policy's that it takes",
      })
      .option('off', { type: 'boolean', describe: 'End the trial at the hook' }),
  async run({ hook, uri, parameters, off }, context) {
    const { client } = context;
    if (off) {
      if (hook === undefined || uri !== undefined) {
        throw new AiosError('REQUEST_INVALID', 'name the hook alone: aios shadow --off HOOK.');
      }
      await client.removeShadow(hook);
      context.result({ hook, off: true }, () => `nothing is tried at ${hook} any more`);
      return;
    }
    if (hook !== undefined && uri !== undefined) {
      const report = await client.setShadow({
        ...{ hook, policyRuleURI: uri },
        parameters: jsonOption(parameters, '--parameters'),
      });
      context.result(
        report,
        () => `${uri} is tried beside the policies of ${hook}; see: aios shadow`,
      );
      return;
    }
    const all = await client.shadows();
    const shown = all.filter((report) => hook === undefined || report.hook === hook);
    context.result(shown, () => renderShadows(shown, context));
  },
});
