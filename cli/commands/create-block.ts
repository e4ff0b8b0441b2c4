import { errorCodes } from '../../sdk/errors.ts';
import { parseDurationMs } from '../../sdk/units.ts';
import { defineCommand } from '../command.ts';
import { createOrReplace, documentOptions, noteWarnings, reportCreated } from '../create.ts';
import { renderDecision } from '../decision.ts';
import { namedFile, readDocument } from '../documents.ts';
import { renderPreview } from '../preview.ts';
import { waitForBlock } from '../wait.ts';

export const createBlock = defineCommand({
  usage: 'create-block [spec]',
  summary: 'Runs a component: policies choose the cluster and the nodes',
  examples: [
    ['aios create-block block.json --wait', 'returns when its instances are ready'],
    [
      'aios create-block block.json --dry-run',
      'where it would go and why; stores nothing; exit code 5 when nowhere',
    ],
    [
      'aios create-block block.json --preview',
      'every place it could have, with its score and what it would leave free on the node',
    ],
  ],
  options: (parser) =>
    documentOptions(parser)
      .option('replace', { type: 'boolean', describe: 'Replace it when it exists' })
      .option('dry-run', { type: 'boolean', describe: 'Explain the placement, create nothing' })
      .option('preview', {
        type: 'boolean',
        describe: 'Every place it could have and what each would leave free; creates nothing',
      })
      .option('wait', { type: 'boolean', describe: 'Until its instances are ready' })
      .option('timeout', { type: 'string', default: '60s', describe: 'How long to wait' }),
  async run(args, context) {
    const timeoutMs = parseDurationMs(args.timeout);
    const document = await readDocument(context, namedFile(args));
    if (args.preview) {
      const preview = await context.client.previewBlock(document);
      context.result(preview, () => renderPreview(preview, context));
      return preview.places.length === 0 ? errorCodes.NO_CANDIDATE.exit : 0;
    }
    if (args.dryRun) {
      const decision = await context.client.dryRunBlock(document);
      context.result(decision, () => renderDecision(decision, context));
      return decision.outcome === 'refused' ? errorCodes.NO_CANDIDATE.exit : 0;
    }
    const { created, replaced } = await createOrReplace(context, 'block', document, args.replace);
    if (!args.wait) {
      reportCreated(context, created, replaced);
      return;
    }
    noteWarnings(context, created);
    const status = await waitForBlock(context, created.id, timeoutMs);
    context.result(status, () => {
      const nodes = status.instances.map(({ nodeId }) => nodeId).join(', ');
      return `block ${context.style.bold(created.id)} runs on ${status.clusterId}: ${nodes}`;
    });
  },
});
