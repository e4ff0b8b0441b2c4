import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { builtinPolicies } from '../../../policies/index.ts';
import { hookNames } from '../../../sdk/hooks.ts';
import type { AnyPolicy } from '../../../sdk/policy.ts';

const root = join(import.meta.dirname, '../../../policies');
const folderOf = (hook: string) =>
  hook.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`).replaceAll('_', '-');

describe('the registry of built-in policies', () => {
  it.each(hookNames)('lists every file of the folder of %s, and nothing else', async (hook) => {
    const folder = join(root, folderOf(hook));
    const files = readdirSync(folder).filter((name) => name !== 'index.ts');

    const onDisk: unknown[] = [];
    for (const file of files) {
      const module: { default: AnyPolicy } = await import(join(folder, file));
      // AIOS's own names begin with what they are for.
      expect(`${module.default.name.split('.').at(-1)}.ts`).toBe(file);
      onDisk.push(module.default);
    }

    expect(new Set(onDisk)).toEqual(
      new Set(builtinPolicies.filter((policy) => policy.hook === hook)),
    );
  });

  it('has a folder for every hook', () => {
    const folders = readdirSync(root).filter((name) => !name.includes('.') && name !== 'support');

    expect(folders.sort()).toEqual(hookNames.map(folderOf).sort());
  });
});
