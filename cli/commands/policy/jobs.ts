import type { PolicyJob } from '../../../sdk/client/control.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { defineCommand } from '../../command.ts';

const seconds = ({ startedAtMs, endedAtMs }: PolicyJob): string =>
  startedAtMs === undefined || endedAtMs === undefined
    ? ''
    : ((endedAtMs - startedAtMs) / 1000).toFixed(1);

export const policyJobs = defineCommand({
  usage: 'policy jobs [id]',
  summary: 'Lists policy jobs, shows one with its answer, or cancels it',
  examples: [
    ['aios policy jobs', 'the newest first'],
    ['aios policy jobs job-… --cancel', 'ends it; one that ended is forgotten'],
  ],
  options: (parser) =>
    parser
      .positional('id', { type: 'string', describe: 'Of one job' })
      .option('cancel', { type: 'boolean', describe: 'Ends it' }),
  async run({ id, cancel }, context) {
    const { client } = context;
    if (id === undefined) {
      if (cancel) throw new AiosError('REQUEST_INVALID', '--cancel needs the id of a job.');
      const jobs = await client.jobs();
      context.result(jobs, () =>
        context.table(
          ['id', 'policy', 'status', 'seconds', 'error'],
          jobs.map((job) => [
            ...[job.id, job.policyUri, job.status, seconds(job)],
            job.error?.message.slice(0, 80) ?? '',
          ]),
        ),
      );
      return;
    }
    const job = cancel ? await client.cancelJob(id) : await client.job(id);
    context.result(job, () => JSON.stringify(job, null, 2));
  },
});
