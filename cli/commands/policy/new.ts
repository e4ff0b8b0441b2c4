import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AiosError } from '../../../sdk/errors.ts';
import { type HookName, hookNames } from '../../../sdk/hooks.ts';
import { defineCommand } from '../../command.ts';

/** @throws {AiosError} ALREADY_EXISTS - never writes over a file */
async function write(path: string, text: string): Promise<void> {
  await writeFile(path, text, { flag: 'wx' }).catch((cause: NodeJS.ErrnoException) => {
    const exists = cause.code === 'EEXIST';
    throw new AiosError(
      exists ? 'ALREADY_EXISTS' : 'NOT_FOUND',
      exists ? `'${path}' exists already.` : `'${path}' cannot be written: ${cause.message}.`,
      { cause },
    );
  });
}

export const policyNew = defineCommand({
  usage: 'policy new <name>',
  summary: 'Writes a policy that works, and its cases, to start from',
  examples: [['aios policy new night-shift --hook autoscaler', 'night-shift.ts and its cases']],
  options: (parser) =>
    parser
      .positional('name', { type: 'string', demandOption: true, describe: 'Of policy and files' })
      .option('hook', {
        choices: hookNames,
        demandOption: true,
        describe: 'The decision it takes',
      })
      .option('dir', { type: 'string', default: '.', describe: 'Where the files go' }),
  async run({ name, hook, dir }, context) {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name)) {
      throw new AiosError(
        'REQUEST_INVALID',
        `'${name}' is no name: use letters, digits, . _ and -.`,
      );
    }
    const { casesTemplate, policyTemplate } = await import('../../policy/template.ts');
    const policy = join(dir, `${name}.ts`);
    const cases = join(dir, `${name}.cases.json`);
    await write(context.path(policy), policyTemplate(hook as HookName, name));
    await write(context.path(cases), casesTemplate(hook as HookName));
    context.result({ policy, cases }, () =>
      [
        `wrote ${context.style.bold(policy)} and ${context.style.bold(cases)}`,
        `next: aios policy test ${policy}`,
      ].join('\n'),
    );
  },
});
