import { readdir, realpath, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import type { ModelFolder } from '../../sdk/client/split-task.ts';
import { AiosError } from '../../sdk/errors.ts';

const maxDepth = 4;
const maxListed = 1000;
const maxLooked = 20_000;
/** No `..`, no absolute path, no hidden folder. */
const segment = /^[A-Za-z0-9][A-Za-z0-9._-]{0,200}$/;

/** Where models lie that may be split: folders that the operator named when the control plane was started. */
export interface ModelFolders {
  /** At most 1000, in order of id. */
  list(): Promise<readonly ModelFolder[]>;
  /** @returns its absolute path @throws {AiosError} NOT_FOUND - it is not there, or lies outside */
  resolve(id: string): Promise<string>;
}

/** @param roots - absolute */
export function createModelFolders(roots: readonly string[]): ModelFolders {
  const hint =
    roots.length === 0
      ? 'This control plane was started without any: aios up --models FOLDER'
      : 'List those there are with: aios split-task models';

  /** Inside the root also where links lead out of it. */
  async function inside(root: string, id: string): Promise<string | undefined> {
    const real = await realpath(root).catch(() => undefined);
    const found = real && (await realpath(join(real, id)).catch(() => undefined));
    return found && real && (found === real || found.startsWith(real + sep)) ? found : undefined;
  }

  async function look(root: string): Promise<readonly ModelFolder[]> {
    const found: ModelFolder[] = [];
    let looked = 0;
    async function enter(folder: string, depth: number): Promise<void> {
      const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
      const id = relative(root, folder).split(sep).join('/');
      if (id !== '' && entries.some((entry) => entry.isFile() || entry.isSymbolicLink())) {
        found.push({ id, kind: 'folder' });
      }
      for (const { name } of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
        looked += 1;
        if (looked > maxLooked || found.length >= maxListed) return;
        if (!segment.test(name)) continue;
        const path = await inside(root, join(relative(root, folder), name));
        const info = path === undefined ? path : await stat(path).catch(() => undefined);
        if (info?.isFile() && name.endsWith('.onnx')) {
          found.push({ id: id === '' ? name : `${id}/${name}`, kind: 'onnx' });
        }
        if (info?.isDirectory() && depth < maxDepth) await enter(join(folder, name), depth + 1);
      }
    }
    await enter(root, 1);
    return found;
  }

  return {
    async list() {
      const all = new Map<string, ModelFolder>();
      for (const root of roots) {
        const real = await realpath(root).catch(() => undefined);
        for (const one of real ? await look(real) : []) if (!all.has(one.id)) all.set(one.id, one);
      }
      return [...all.values()].sort((a, b) => (a.id < b.id ? -1 : 1)).slice(0, maxListed);
    },
    async resolve(id) {
      const parts = id.split('/');
      if (parts.length <= maxDepth && parts.every((part) => segment.test(part))) {
        for (const root of roots) {
          const found = await inside(root, id);
          if (found) return found;
        }
      }
      throw new AiosError(
        'NOT_FOUND',
        `there is no model '${id.slice(0, 200)}' in the folders of models. ${hint}`,
      );
    },
  };
}
