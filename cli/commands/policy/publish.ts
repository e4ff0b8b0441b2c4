import { defineCommand } from '../../command.ts';
import { reportCreated } from '../../create.ts';

export const policyPublish = defineCommand({
  usage: 'policy publish <file>',
  summary: 'Uploads a policy; a published version never changes, except one tagged dev',
  examples: [
    ['aios policy publish night-shift.ts', 'documents may name its URI from now on'],
    ['aios policy publish graph.json', 'a remote policy or a graph of functions, as a document'],
  ],
  options: (parser) =>
    parser
      .positional('file', {
        type: 'string',
        demandOption: true,
        describe: 'definePolicy(…), or a document whose "code" names one',
      })
      .option('execution', {
        choices: ['local', 'job', 'function'] as const,
        describe: 'How it runs: a state for each use, a fresh sandbox for each call, one for all',
        defaultDescription: 'what the file says, else local',
      }),
  async run({ file, execution }, context) {
    const { loadPolicy } = await import('../../authored.ts');
    const loaded = (await loadPolicy(context, file)) as { readonly releaseTag?: string };
    const document = execution === undefined ? loaded : { ...loaded, execution };
    const replace = document.releaseTag === 'dev';
    reportCreated(context, await context.client.create('policy', document, { replace }), false);
  },
});
