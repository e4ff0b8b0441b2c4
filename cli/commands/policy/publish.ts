import { defineCommand } from '../../command.ts';
import { reportCreated } from '../../create.ts';

export const policyPublish = defineCommand({
  usage: 'policy publish <file>',
  summary: 'Uploads a policy; a published version never changes, except one tagged dev',
  examples: [['aios policy publish night-shift.ts', 'documents may name its URI from now on']],
  options: (parser) =>
    parser.positional('file', {
      type: 'string',
      demandOption: true,
      describe: 'definePolicy(…), or a document whose "code" names one',
    }),
  async run({ file }, context) {
    const { loadPolicy } = await import('../../authored.ts');
    const document = (await loadPolicy(context, file)) as { readonly releaseTag?: string };
    const replace = document.releaseTag === 'dev';
    reportCreated(context, await context.client.create('policy', document, { replace }), false);
  },
});
