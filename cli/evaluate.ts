import { type Evaluation, evaluateSplit } from '../runtime/model/index.ts';
import type { Context } from './context.ts';
import { renderBar } from './progress.ts';

export interface EvaluateArguments {
  /** Folder of the split. */
  readonly plan: string;
  /** Folder of the model, or of another split. */
  readonly against: string;
  /** What is read, itself. */
  readonly text: string;
  readonly tokens?: number | undefined;
  readonly window?: number | undefined;
  readonly threads?: number | undefined;
}

/** Reads the text with both, here. */
export async function evaluateHere(
  context: Context,
  { plan, against, text, tokens, window, threads }: EvaluateArguments,
): Promise<Evaluation> {
  const { progress, signal } = context;
  try {
    return await evaluateSplit({
      planFolder: context.path(plan),
      againstFolder: context.path(against),
      text,
      ...(tokens === undefined ? {} : { maxTokens: tokens }),
      ...(window === undefined ? {} : { windowTokens: window }),
      ...(threads === undefined ? {} : { threads }),
      signal,
      onProgress: (fraction, what) => progress.update(`${renderBar(fraction)}  ${what}`),
    });
  } finally {
    progress.done();
  }
}

/** One row a model. */
export function renderEvaluation(
  { perplexity, againstPerplexity, topAgreement, ...rest }: Evaluation,
  names: { readonly plan: string; readonly against: string },
  { table }: Pick<Context, 'table'>,
): string {
  const percent = (share: number) => `${(100 * share).toFixed(2)} %`;
  const change = perplexity / againstPerplexity - 1;
  const rows = [
    [names.against, againstPerplexity.toFixed(4), '', '', ''],
    [
      ...[names.plan, perplexity.toFixed(4), `${change < 0 ? '' : '+'}${percent(change)}`],
      ...[percent(topAgreement), rest.meanLogprobGap.toFixed(4)],
    ],
  ];
  const titles = ['model', '>perplexity', '>change', '>same best token', '>log-probability off by'];
  return `${table(titles, rows)}\n\n${rest.tokens} tokens in ${rest.windows} windows`;
}
