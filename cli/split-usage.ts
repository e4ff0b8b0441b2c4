import { stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { AiosError } from '../sdk/errors.ts';
import type { Context } from './context.ts';

interface SplitUsage {
  readonly model: string;
  readonly splitter?: string | undefined;
  readonly evaluate?: string | undefined;
  readonly dryRun?: boolean | undefined;
  readonly dtype?: string | undefined;
  readonly block?: number | undefined;
  readonly context?: number | undefined;
  readonly maxSessions?: number | undefined;
}

const refused = (message: string) => new AiosError('REQUEST_INVALID', message);

/**
 * Refuses what would be left undone, before anything is read or split.
 *
 * @throws {AiosError} REQUEST_INVALID
 */
export async function assertSplitUsage(context: Context, args: SplitUsage): Promise<void> {
  const { model, evaluate, dtype } = args;
  if (evaluate !== undefined && args.dryRun) {
    throw refused('--evaluate reads with the shards, and --dry-run writes none; leave one out.');
  }
  if (args.block !== undefined && dtype !== 'int8' && dtype !== 'int4') {
    const seen = dtype === undefined ? 'no --dtype' : `--dtype ${dtype}`;
    throw refused(
      `--block is of --dtype int8 and int4 alone; got ${seen}. Name one, or no --block.`,
    );
  }
  if (args.splitter !== undefined) return;
  const isGraph = extname(model) === '.onnx';
  if (isGraph && evaluate !== undefined) {
    throw refused(
      `--evaluate reads a text with a language model, and '${model}' is an ONNX graph; leave it out.`,
    );
  }
  const unused = [
    ...(args.context === undefined ? [] : ['--context']),
    ...(args.maxSessions === undefined ? [] : ['--max-sessions']),
  ];
  if (isGraph && unused.length > 0) {
    throw refused(
      `${unused.join(' and ')} ${unused.length > 1 ? 'are' : 'is'} of language models, and '${model}' is an ONNX graph, which keeps no sessions; leave it out.`,
    );
  }
  if (evaluate !== undefined) await assertTokenizer(context, model);
}

async function assertTokenizer(context: Context, model: string): Promise<void> {
  const folder = await stat(context.path(model)).catch(() => undefined);
  // What is no folder is said of the model itself.
  if (!folder?.isDirectory()) return;
  const found = await stat(join(context.path(model), 'tokenizer.json')).catch(() => undefined);
  if (found) return;
  throw refused(
    `--evaluate reads a text with a language model, and '${model}' has no tokenizer.json; leave it out.`,
  );
}
