import { errorCodes } from '../../sdk/errors.ts';
import { defineCommand } from '../command.ts';
import { documentOptions } from '../create.ts';
import { namedFile, readDocument } from '../documents.ts';

export const preCheck = defineCommand({
  usage: 'pre-check <action> [spec]',
  summary: 'Asks the pre-checks of an action what they would say, and does nothing',
  examples: [
    [
      'aios pre-check add_block block.json',
      'allowed, rewritten or refused, and by whom; exit code 5 when refused',
    ],
    [
      `echo '{"clusterId": "home", "nodeId": "n1"}' | aios pre-check remove_node -`,
      'of a removal: what names it',
    ],
  ],
  options: (parser) =>
    documentOptions(
      parser.positional('action', {
        type: 'string',
        demandOption: true,
        describe: 'add_block, scale_block, remove_node …',
      }),
    ).positional('action', { type: 'string', demandOption: true }),
  async run(args, context) {
    const document = await readDocument(context, namedFile(args));
    const verdict = await context.client.preCheck(args.action, document);
    const { style } = context;
    context.result(verdict, () => {
      if (!verdict.allowed) {
        return `${style.warn('refused')} by the ${verdict.level}'s ${verdict.policyUri}: ${verdict.reason}`;
      }
      if (verdict.asked.length === 0)
        return `${style.good('allowed')}: nobody is asked about ${verdict.action}`;
      const by = verdict.asked.join(', ');
      if (verdict.input === undefined) return `${style.good('allowed')} by ${by}`;
      return `${style.good('allowed')} by ${by}, rewritten:\n${JSON.stringify(verdict.input, null, 2)}`;
    });
    return verdict.allowed ? 0 : errorCodes.ADMISSION_DENIED.exit;
  },
});
