import type { PolicyJob } from '../../../sdk/client/control.ts';
import { AiosError, type ErrorCode, errorCodes } from '../../../sdk/errors.ts';
import { defineCommand } from '../../command.ts';
import type { Context } from '../../context.ts';
import { readJsonOption } from '../../json-option.ts';
import { numeric } from '../../numbers.ts';

const pollMs = 200;
const isOver = ({ status }: PolicyJob): boolean => status !== 'queued' && status !== 'running';

/** Waits until it is over; Ctrl-C cancels it. */
async function whenOver(context: Context, submitted: PolicyJob): Promise<PolicyJob> {
  const { client, progress, signal } = context;
  let job = submitted;
  while (!isOver(job)) {
    if (signal.aborted) return client.cancelJob(job.id);
    const seconds = Math.round((Date.now() - job.createdAtMs) / 1000);
    progress.update(`${job.id} ${job.status}, ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
    job = await client.job(job.id);
  }
  progress.done();
  return job;
}

function assertCompleted({ id, error }: PolicyJob): void {
  if (!error) return;
  const code = Object.hasOwn(errorCodes, error.code) ? (error.code as ErrorCode) : 'INTERNAL';
  throw new AiosError(code, error.message, { details: { jobId: id } });
}

export const policyRun = defineCommand({
  usage: 'policy run <uri>',
  summary: "Runs a policy of hook 'function' once, as a job in a sandbox of its own",
  examples: [
    [`aios policy run report:1.0.0-stable --data '{"days": 30}'`, 'waits, and prints its answer'],
    ['aios policy run report:1.0.0-stable --detach', 'prints the job; aios policy jobs ID asks'],
  ],
  options: (parser) =>
    parser
      .positional('uri', { type: 'string', demandOption: true, describe: 'name:version-tag' })
      .option('data', { type: 'string', nargs: 1, describe: 'JSON it is given; - reads it' })
      .option('parameters', { type: 'string', nargs: 1, describe: 'JSON object' })
      .option('timeout-ms', {
        ...numeric('--timeout-ms', { least: 1, most: 3_600_000, whole: true }),
        default: 60_000,
        describe: 'How long it may run',
      })
      .option('detach', { type: 'boolean', describe: 'Do not wait for it' }),
  async run({ uri, data, parameters, timeoutMs, detach }, context) {
    const input = await readJsonOption(context, '--data', data);
    const given = await readJsonOption(context, '--parameters', parameters);
    const submitted = await context.client.submitJob({
      ...{ policyRuleURI: uri, timeLimitMs: timeoutMs },
      ...(input === undefined ? {} : { input }),
      ...(given === undefined ? {} : { parameters: given as Record<string, unknown> }),
    });
    if (detach) {
      context.result(submitted, () => submitted.id);
      return;
    }
    const job = await whenOver(context, submitted);
    for (const line of job.logs) context.note(context.style.dim(line));
    assertCompleted(job);
    context.result(job, () => JSON.stringify(job.output, null, 2));
  },
});
