import { AiosError, PolicyError } from '../../sdk/errors.ts';
import type { PolicyRunner } from './runner.ts';
import { createSandbox, type Sandbox } from './sandbox.ts';

export interface UploadedCode {
  readonly tenant: string;
  readonly uri: string;
  readonly hook: string;
  readonly hash: string;
  readonly entry: string;
}

/** Sandboxes of uploaded policies, a thread each. */
export interface SandboxPool {
  get(code: UploadedCode): Promise<PolicyRunner>;
  close(): Promise<void>;
}

/** Threads kept ready. More policies than this work too: the one unused for longest gives way. */
const maxSandboxes = 8;
const maxBundleCharacters = 8 * 2 ** 20;

export function createSandboxPool(loadArtifact: (hash: string) => Promise<string>): SandboxPool {
  /** In order of use, the latest last. */
  const sandboxes = new Map<string, Promise<Sandbox>>();

  async function create({ uri, hook, hash, entry }: UploadedCode): Promise<Sandbox> {
    const source = await loadArtifact(hash);
    if (source.length > maxBundleCharacters) {
      throw new PolicyError(
        'POLICY_LIMIT_EXCEEDED',
        `the bundle of policy '${uri}' has ${source.length} characters; at most ${maxBundleCharacters} are loaded.`,
      );
    }
    return createSandbox({ uri, hook, source, entry });
  }

  /** Never throws. */
  async function evict(): Promise<void> {
    for (const [name, opening] of [...sandboxes]) {
      if (sandboxes.size <= maxSandboxes) return;
      const sandbox = await opening.catch(() => undefined);
      if (sandboxes.get(name) !== opening || (sandbox && !sandbox.idle)) continue;
      sandboxes.delete(name);
      await sandbox?.rest().catch(() => undefined);
    }
  }

  /** The code's sandbox, from now on the latest used. */
  async function touch(code: UploadedCode): Promise<Sandbox> {
    const name = JSON.stringify([code.tenant, code.uri, code.hash, code.entry]);
    const opening = sandboxes.get(name) ?? create(code);
    sandboxes.delete(name);
    sandboxes.set(name, opening);
    try {
      return await opening;
    } catch (fault) {
      if (sandboxes.get(name) === opening) sandboxes.delete(name);
      throw AiosError.from(fault);
    }
  }

  return {
    async get(code) {
      await touch(code);
      return {
        async run(request) {
          // It may have given way since.
          const sandbox = await touch(code);
          // Beside the evaluation: nobody waits for another policy's thread to end.
          void evict();
          return sandbox.run(request);
        },
      };
    },
    async close() {
      const opened = [...sandboxes.values()];
      sandboxes.clear();
      await Promise.all(
        opened.map(async (opening) => (await opening.catch(() => undefined))?.close()),
      );
    },
  };
}
