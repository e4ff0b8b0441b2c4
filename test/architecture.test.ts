import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '..');

/** Folder → which of our folders and which packages it may import. `node` stands for `node:*`. */
const rooms: Record<string, { ours: string[]; packages: string[] }> = {
  sdk: { ours: ['sdk'], packages: ['zod', 'ajv'] },
  policies: { ours: ['policies', 'sdk'], packages: ['zod'] },
  runtime: {
    ours: ['runtime', 'sdk'],
    packages: [
      'node',
      'zod',
      'ajv',
      '@grpc/grpc-js',
      '@grpc/proto-loader',
      'libsql',
      'onnxruntime-node',
      'hono',
      '@hono/node-server',
      'quickjs-emscripten',
      '@huggingface/tokenizers',
      '@huggingface/jinja',
    ],
  },
  cli: {
    ours: ['cli', 'runtime', 'policies', 'sdk'],
    packages: ['node', 'zod', 'yargs', 'esbuild'],
  },
  examples: { ours: ['examples'], packages: ['node', 'zod', 'aios-sdk'] },
};

/** Heavy or replaceable packages, each behind one door. */
const doors: Record<string, RegExp> = {
  'onnxruntime-node': /^runtime\/model\/onnx-runtime\.ts$/,
  libsql: /^runtime\/store\/sqlite-[a-z-]+\.ts$/,
  '@grpc/grpc-js': /^runtime\/dataplane\//,
  '@grpc/proto-loader': /^runtime\/dataplane\//,
  hono: /^runtime\/gateway\//,
  '@hono/node-server': /^runtime\/gateway\//,
  'quickjs-emscripten': /^runtime\/policy\//,
  '@huggingface/tokenizers': /^runtime\/model\/tokenizer\.ts$/,
  '@huggingface/jinja': /^runtime\/model\/chat-template\.ts$/,
  esbuild: /^cli\/bundle\.ts$/,
  yargs: /^cli\//,
};

/** Seams that other rooms may import beside a room's `index.ts`. */
const contracts = new Set([
  'runtime/entry.ts',
  'runtime/make-folder.ts',
  'runtime/control-plane.ts',
  'runtime/cluster/backend.ts',
  'runtime/dataplane/connection.ts',
  'runtime/dataplane/frame.ts',
  'runtime/instance/start-time.ts',
  'runtime/model/stage.ts',
  'runtime/placement/placement.ts',
  'runtime/policy/host.ts',
  'runtime/store/store.ts',
  'runtime/vdag/generation.ts',
]);

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.includes('node_modules'))
    .map((name) => join(folder, name).replaceAll('\\', '/'));
}

const importPattern =
  /(?:^|[\s;}])(?:import|export)\s[^'"]*?from\s*'([^']+)'|(?:^|[^.\w])import\(\s*'([^']+)'\s*\)|^import\s*'([^']+)'/gm;

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
  return [...text.matchAll(importPattern)].map((match) => match[1] ?? match[2] ?? match[3] ?? '');
}

const packageOf = (specifier: string) =>
  specifier.startsWith('node:')
    ? 'node'
    : specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/');

function roomOf(file: string): string {
  const [top, second, third] = file.split('/');
  return top === 'runtime' && third !== undefined ? `runtime/${second}` : String(top);
}

/** @returns why `file` may not import `specifier`, or undefined */
function fault(file: string, specifier: string): string | undefined {
  const top = String(file.split('/')[0]);
  const room = rooms[top];
  if (!room) return `${top}/ is not in the table`;
  if (!specifier.startsWith('.')) {
    const name = packageOf(specifier);
    const allowed = room.packages.includes(name) && (doors[name]?.test(file) ?? true);
    return allowed ? undefined : `package '${name}'`;
  }
  const target = relative(root, resolve(root, dirname(file), specifier)).replaceAll('\\', '/');
  const targetTop = String(target.split('/')[0]);
  if (!room.ours.includes(targetTop)) return `'${target}'`;
  if (top === 'examples' && target.split('/')[1] !== file.split('/')[1]) return `'${target}'`;
  const [from, to] = [roomOf(file), roomOf(target)];
  const throughDoor =
    from === to ||
    !to.startsWith('runtime/') ||
    target.endsWith('/index.ts') ||
    contracts.has(target);
  return throughDoor ? undefined : `'${target}' except through ${to}/index.ts`;
}

describe('the dependency table', () => {
  for (const folder of Object.keys(rooms)) {
    it(`holds in ${folder}/`, () => {
      const faults = sources(folder).flatMap((file) =>
        importsOf(file).flatMap((specifier) => {
          const why = fault(file, specifier);
          return why ? [`${file} may not import ${why}`] : [];
        }),
      );

      expect(faults).toEqual([]);
    });
  }

  it('sees every form of import', () => {
    expect(importsOf('test/architecture.test.ts')).toContain('node:fs');
    expect(fault('runtime/store/x.ts', '../../policies/index.ts')).toBeDefined();
    expect(fault('sdk/x.ts', 'node:fs')).toBeDefined();
    expect(fault('runtime/block/x.ts', '../store/sqlite-store.ts')).toContain('index.ts');
    expect(fault('policies/x.ts', '../sdk/index.ts')).toBeUndefined();
  });
});

describe('files', () => {
  it('stay within the edge of 300 lines', () => {
    const long = Object.keys(rooms)
      .flatMap(sources)
      .filter((file) => readFileSync(join(root, file), 'utf8').split('\n').length > 300);

    expect(long).toEqual([]);
  });
});
