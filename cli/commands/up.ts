import { homedir } from 'node:os';
import { join } from 'node:path';
import { AiosError } from '../../sdk/errors.ts';
import { parseDurationMs } from '../../sdk/units.ts';
import { readApiKeys } from '../api-keys.ts';
import { defineCommand } from '../command.ts';
import { type Context, defaultPort, defaultUrl } from '../context.ts';
import { numeric } from '../numbers.ts';

/** Resolves when Ctrl-C or SIGTERM comes. */
const ended = ({ signal }: Context): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });

/** @throws {AiosError} REQUEST_INVALID - not NAME=URL */
function readExecutors(
  given: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
) {
  return given.map((text) => {
    const [, id, url] = /^([A-Za-z0-9][A-Za-z0-9._-]*)=(.+)$/.exec(text) ?? [];
    if (id === undefined || url === undefined) {
      throw new AiosError(
        'REQUEST_INVALID',
        `--policy-executor '${text}' is not NAME=URL, such as python=http://127.0.0.1:8090.`,
      );
    }
    const token = env[`AIOS_POLICY_EXECUTOR_TOKEN_${id.toUpperCase().replace(/[.-]/g, '_')}`];
    return { id, url, ...(token ? { token } : {}) };
  });
}

/** An address that means every interface is none to call; on this machine its loopback answers. */
const reachableAt = (url: string): string =>
  url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:');

export const up = defineCommand({
  usage: 'up',
  summary: 'Starts a control plane; Ctrl-C stops it and everything it runs',
  examples: [
    ['aios up', 'on this machine, what it keeps under ~/.aios'],
    ['aios up --port 0 --data-dir data --json', 'prints {"url": …} when it is ready'],
    ['AIOS_API_KEY=… aios up --host 0.0.0.0', 'for other machines; clients send the key'],
  ],
  options: (parser) =>
    parser
      .option('port', {
        ...numeric('--port', { least: 0, most: 65_535, whole: true }),
        default: defaultPort,
        describe: '0 takes any free one',
      })
      .option('host', { type: 'string', default: '127.0.0.1', describe: 'Address to listen on' })
      .option('data-dir', {
        type: 'string',
        describe: 'Where everything is kept',
        defaultDescription: 'AIOS_DATA_DIR, or ~/.aios',
      })
      .option('api-key-file', {
        type: 'string',
        nargs: 1,
        describe: 'Keys clients may use, one a line, # before comments; - is standard input',
      })
      .option('orphan-timeout', {
        type: 'string',
        default: '30s',
        describe: 'How long instances outlive a control plane that vanished',
      })
      .option('policy-executor', {
        type: 'string',
        array: true,
        nargs: 1,
        describe:
          'NAME=URL of a service that evaluates policies; its token: AIOS_POLICY_EXECUTOR_TOKEN_NAME',
      })
      .option('models', {
        type: 'string',
        array: true,
        nargs: 1,
        describe: 'A folder whose models `aios split-task` may split; may be repeated',
      })
      .option('keep-decisions', {
        ...numeric('--keep-decisions', { least: 1, most: 100_000, whole: true }),
        default: 1000,
        describe: 'How many are kept for explain and replay',
      })
      .option('keep-decisions-for', {
        type: 'string',
        nargs: 1,
        describe: 'How long, such as 7d; the newest placement of a block stays',
        defaultDescription: 'any age',
      }),
  async run(args, context) {
    const orphanTimeoutMs = parseDurationMs(args.orphanTimeout);
    const { keepDecisions: inAll, keepDecisionsFor: keptFor } = args;
    const maxAge = keptFor === undefined ? {} : { maxAgeMs: parseDurationMs(keptFor) };
    const apiKeys = await readApiKeys(context, args.apiKeyFile);
    const { env } = context.io;
    const { serve } = await import('../serve.ts');
    const served = await serve({
      dataDirectory: context.path(
        args.dataDir ?? env.AIOS_DATA_DIR ?? join(env.HOME ?? homedir(), '.aios'),
      ),
      host: args.host,
      port: args.port,
      apiKeys,
      orphanTimeoutMs,
      decisions: { inAll, ...maxAge },
      modelFolders: (args.models ?? []).map((folder) => context.path(folder)),
      policyExecutors: readExecutors(args.policyExecutor ?? [], env),
      env,
      log: (line) => context.note(context.style.dim(line)),
    });
    try {
      context.result({ url: served.url }, () =>
        [
          `aios is up at ${context.style.bold(reachableAt(served.url))}${args.host === '127.0.0.1' ? '' : ` (listening on ${args.host})`}`,
          `next: ${reachableAt(served.url) === defaultUrl ? '' : `export AIOS_URL=${reachableAt(served.url)}, then `}aios create-cluster --help; Ctrl-C stops it`,
        ].join('\n'),
      );
      await ended(context);
      if (!context.json) context.note('stopping …');
    } finally {
      await served.close();
    }
  },
});
