import { execFile } from 'node:child_process';
import { chmod, cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Up, up } from './cli-process.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const question = 'What is 47 + 38?';
const answer = '47 + 38 = 85.';

let readme = '';
let folder = '';
let server: Up;

/** The code blocks of a section, of one language, by its heading. */
function codeOf(heading: string, language = 'sh'): string[] {
  const section = readme.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? '';
  const fences = section.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'));
  return [...fences].map(([, code = '']) => code);
}

/** Runs a line as a reader's shell would, in a copy of the clone's examples, against a control plane of its own. */
function shell(line: string, input = ''): Promise<{ code: number; out: string; err: string }> {
  return new Promise((done) => {
    const child = execFile(
      'bash',
      ['-c', line.replaceAll('http://127.0.0.1:7420', server.url)],
      {
        cwd: folder,
        env: {
          ...process.env,
          HOME: folder,
          PATH: `${folder}${delimiter}${process.env.PATH}`,
          AIOS_URL: server.url,
        },
      },
      (error, out, err) => done({ code: error ? Number(error.code ?? 1) : 0, out, err }),
    );
    child.stdin?.end(input);
  });
}

/** What a line says its exit code is, in its comment: where it says nothing, 0. */
const exitCodeOf = (line: string) => Number(/#.*exit code (\d+)/.exec(line)?.[1] ?? 0);

/** Runs every line of a block of commands; the last one's output. */
async function runAll(commands: string, input?: string): Promise<string> {
  let last = '';
  for (const line of commands.replaceAll('\\\n', ' ').split('\n').filter(Boolean)) {
    const { code, out, err } = await shell(line, input);
    const expected = exitCodeOf(line);
    expect({ line, code, err: code === expected ? '' : err }).toEqual({
      line,
      code: expected,
      err: '',
    });
    last = out;
  }
  return last;
}

beforeAll(async () => {
  readme = await readFile(join(repository, 'README.md'), 'utf8');
  folder = await mkdtemp(join(tmpdir(), 'aios-readme-'));
  await cp(join(repository, 'examples'), join(folder, 'examples'), { recursive: true });
  // What `npm link` puts on the path.
  await writeFile(
    join(folder, 'aios'),
    `#!/bin/sh\nexec '${process.execPath}' '${join(repository, 'dist/cli/main.js')}' "$@"\n`,
  );
  await chmod(join(folder, 'aios'), 0o755);
  server = await up(join(folder, 'data'));
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('the commands of the README work as they stand', () => {
  it('of the first chat, with the answer it promises', async () => {
    expect(readme).toContain(`Ask it \`${question}\`; it answers \`${answer}\``);
    const [start = '', first = '', curl = ''] = codeOf('A first chat');
    expect(start).toMatch(/^aios up /);
    expect(curl).toContain(question);

    expect(await runAll(first, `${question}\n`)).toBe(`${answer}\n`);
    expect(JSON.parse(await runAll(curl))).toMatchObject({
      choices: [{ message: { content: answer } }],
    });
  });

  it('of splitting', async () => {
    for (const commands of codeOf('Split your own model')) await runAll(commands);
  });

  it('of explaining', async () => {
    const [asked = '', again = ''] = codeOf('Why was it placed there?');

    expect(await runAll(asked)).toContain('least-loaded:1.0.0-stable');
    await runAll(again);
  });

  it('of a vDAG, whose document is that of the example', async () => {
    const [document = ''] = codeOf('Join blocks into a vDAG', 'json');
    const example = await readFile(join(repository, 'examples/vdag/vdag.json'), 'utf8');
    const [commands = ''] = codeOf('Join blocks into a vDAG');

    expect(JSON.parse(example)).toEqual({ ...JSON.parse(document), releaseTag: 'stable' });
    expect(JSON.parse(await runAll(commands))).toEqual({ count: 6, longest: 'blocks' });
  });

  it('of a block of one’s own', async () => {
    const [code = ''] = codeOf('Write a block', 'ts');
    await writeFile(join(folder, 'shout.ts'), code);

    await runAll('aios create-component shout.ts');
  });

  it('of a policy of one’s own, from nothing to a decision', async () => {
    const [commands = ''] = codeOf('Write a policy');
    const [written = ''] = codeOf('Write a policy', 'json');
    await runAll(commands);
    await writeFile(join(folder, 'own.cases.json'), `[${written}]`);

    expect(await runAll('aios policy test night-shift.ts --cases own.cases.json')).toContain(
      '1 of 1 cases passed',
    );
    const block = JSON.parse(
      await readFile(join(repository, 'examples/hello-block/block.json'), 'utf8'),
    );
    const policies = { resourceAllocator: { policyRuleURI: 'night-shift:1.0.0-dev' } };
    await writeFile(
      join(folder, 'night.json'),
      JSON.stringify({ ...block, id: 'night', policies }),
    );
    await runAll('aios create-component examples/hello-block/block.ts --replace');
    expect(await runAll('aios create-block night.json --dry-run')).toContain(
      'night-shift:1.0.0-dev',
    );
  });

  it('of a program, in a project that has the package', async () => {
    const [code = ''] = codeOf('The command line', 'js');
    const program = await mkdtemp(join(folder, 'program-'));
    await cp(join(repository, 'package.json'), join(program, 'package.json'));
    await symlink(join(repository, 'dist'), join(program, 'dist'));
    await symlink(join(repository, 'node_modules'), join(program, 'node_modules'));
    await writeFile(join(program, 'chat.mjs'), code.replace('http://127.0.0.1:7420', server.url));

    const { out } = await shell(`node ${join(program, 'chat.mjs')}`);

    expect(out).toBe(answer);
  });
});

describe('the examples show what they say', () => {
  it('a simulation tells its variants apart', async () => {
    const page = await readFile(join(repository, 'examples/simulate/README.md'), 'utf8');
    const [, command = ''] = /^```sh\n(.*?)^```$/ms.exec(page) ?? [];

    const out = await runAll(command);

    expect(out).toMatch(/bin-pack .*\nspread /);
    expect(await readFile(join(folder, 'plot.svg'), 'utf8')).toContain('</svg>');
  });

  it('a policy of one’s own refuses a node that the platform would take', async () => {
    await runAll('aios create-policy examples/custom-policy/keep-reserve.ts');

    const out = await runAll('aios create-block examples/custom-policy/block.json --dry-run');

    expect(out).toMatch(/shelf .*refused: reserve of 0\.3/);
  });
});
