import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../../../cli/bundle.ts';
import type { AiosError } from '../../../sdk/errors.ts';
import { aios, type FakeServer, json, problem, serve } from './harness.ts';

let folder = '';
let server: FakeServer | undefined;

const example = (path: string): string =>
  fileURLToPath(new URL(`../../../examples/${path}`, import.meta.url));

/** A server that stores nothing, and has no artifact yet. */
async function start(): Promise<FakeServer> {
  const created = (kind: string) =>
    json({ kind, id: 'x', revision: 1, spec: {}, warnings: [] }, 201);
  server = await serve({
    'HEAD /api/artifacts/': problem(404, 'NOT_FOUND', 'none.'),
    'PUT /api/artifacts/': json({}, 201),
    'POST /api/components': created('component'),
    'POST /api/policies': created('policy'),
  });
  return server;
}

async function write(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

const failure = (promise: Promise<unknown>): Promise<AiosError> =>
  promise.then(
    () => expect.unreachable('it must fail'),
    (error: AiosError) => error,
  );

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aios-authored-'));
});
afterEach(() => server?.close());
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('a bundle', () => {
  it('holds the SDK and zod, so that it runs where neither is installed', async () => {
    const { code, hash } = await bundle(example('hello-block/block.ts'), 'block');

    const file = await write('alone.mjs', Buffer.from(code).toString());
    const module = await import(pathToFileURL(file).href);
    expect(module.default).toMatchObject({ type: 'component', uri: 'example.hello:1.0.0-stable' });
    expect(hash).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  it('is the same for the same sources, wherever they lie', async () => {
    const text = "import { defineBlock } from 'aios-sdk';\nexport default defineBlock;\n";
    const other = await mkdtemp(join(folder, 'deeper-'));
    await writeFile(join(other, 'same.ts'), text);

    const hashes = [
      (await bundle(await write('same.ts', text), 'policy')).hash,
      (await bundle(join(other, 'same.ts'), 'policy')).hash,
    ];

    expect(hashes[0]).toBe(hashes[1]);
  });

  it('lets a dependency of a block use require', async () => {
    await write('old.cjs', "module.exports = require('node:path').join('a', 'b');");
    const file = await write('new.ts', "export { default } from './old.cjs';");

    const { code } = await bundle(file, 'block');

    const out = await write('required.mjs', Buffer.from(code).toString());
    expect((await import(pathToFileURL(out).href)).default).toBe('a/b');
  });

  it('reports every problem with file, line and column', async () => {
    const file = await write(
      'broken.ts',
      "import a from './nowhere.ts';\nimport b from './neither.ts';\nexport default [a, b];\n",
    );

    const error = await failure(bundle(file, 'block'));

    expect(error.code).toBe('BUNDLE_FAILED');
    expect(error.problems.map(({ path }) => path)).toEqual(['broken.ts:1:15', 'broken.ts:2:15']);
  });

  it('of a policy has no access to files', async () => {
    const file = await write('reads.ts', "import fs from 'node:fs';\nexport default fs;\n");

    expect((await failure(bundle(file, 'policy'))).problems[0]?.path).toBe('reads.ts:1:16');
  });

  it('of a file that is not there is refused', async () => {
    expect((await failure(bundle(join(folder, 'gone.ts'), 'block'))).code).toBe('NOT_FOUND');
  });
});

describe('an author’s file', () => {
  it('becomes a component document with its protocols, its code uploaded by hash', async () => {
    const { url, asked } = await start();

    const { code, err } = await aios([
      'create-component',
      example('hello-block/block.ts'),
      '--url',
      url,
    ]);

    expect({ code, err }).toEqual({ code: 0, err: '' });
    const [, put, post] = asked;
    const hash = put?.path.split('/').at(-1);
    expect(post?.json()).toMatchObject({
      uri: 'example.hello:1.0.0-stable',
      artifact: { hash, entry: 'default' },
      inputProtocol: { properties: { name: { type: 'string', minLength: 1 } } },
      outputProtocol: { required: ['greeting'] },
    });
    expect(post?.json()).not.toHaveProperty('block');
  });

  it('becomes a policy document with its schemas', async () => {
    const { url, asked } = await start();
    const file = example('custom-policy/keep-reserve.ts');

    const { code, err } = await aios(['create-policy', file, '--url', url]);

    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(asked.at(-1)?.json()).toMatchObject({
      uri: 'keep-reserve:1.0.0-stable',
      hook: 'resourceAllocator',
      parametersSchema: { properties: { reserveFraction: { default: 0.25 } } },
    });
  });

  it('is named by a component document, whose own words win', async () => {
    const { url, asked } = await start();
    await write(
      'block.ts',
      `import { defineBlock } from 'aios-sdk';
       import { z } from 'zod';
       export default defineBlock({ input: z.string(), output: z.string(), onData: ({ data }) => data });`,
    );
    const document = { uri: 'a.echo:1.0.0-stable', outputProtocol: { type: 'null' } };
    await write('component.json', JSON.stringify({ ...document, code: './block.ts' }));

    const { code, err } = await aios(
      ['create-component', join(folder, 'component.json'), '--url', url],
      { cwd: tmpdir() },
    );

    expect({ code, err }).toEqual({ code: 0, err: '' });
    const sent = asked.at(-1)?.json();
    expect(sent).toMatchObject({ ...document, inputProtocol: { type: 'string' } });
    expect(sent).toHaveProperty('artifact.hash');
    expect(sent).not.toHaveProperty('code');
  });

  it('with a wrong definition is refused with every problem at its place in the author’s file', async () => {
    const { url, asked } = await start();
    await write(
      'wrong.ts',
      `import { definePolicy } from 'aios-sdk';

       export default definePolicy({
         hook: 'loadBalencer', name: 'mine', version: '1', description: 'None.', parameters: {},
         evaluate: () => ({ instanceId: '' }),
       } as never);`,
    );

    const { code, err } = await aios(['create-policy', 'wrong.ts', '--url', url], { cwd: folder });

    expect(code).toBe(2);
    expect(err).toMatch(/wrong\.ts:3:\d+ \$\.hook: .*loadBalancer/);
    expect(err).toMatch(/wrong\.ts:3:\d+ \$\.parameters: must be a zod schema/);
    expect(err).not.toMatch(/\.\.$/m);
    expect(asked).toHaveLength(0);
  });

  it.each([
    ['throws at import', 'const a: any = null;\n\nexport default a.b;\n', 'throws.ts:3:'],
    ['never ends its import', 'await new Promise(() => {});\nexport default {};\n', 'throws.ts'],
    ['has no default export', 'export const a = 1;\n', 'throws.ts'],
    ['exports something else', 'export default { type: 2 };\n', 'throws.ts'],
  ])('that %s is refused before anything is sent', async (_name, text, place) => {
    const { url, asked } = await start();
    await write('throws.ts', text);

    const { code, err } = await aios(['create-component', 'throws.ts', '--url', url], {
      cwd: folder,
    });

    expect(code).toBe(2);
    expect(err).toContain('BUNDLE_FAILED');
    expect(err).toContain(place);
    expect(asked).toHaveLength(0);
  });
});
