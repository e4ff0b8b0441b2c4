import { AiosError, PolicyError } from '../../sdk/errors.ts';
import type { PolicyRunner } from './runner.ts';
import { createSandbox, type Sandbox } from './sandbox.ts';

export interface UploadedCode {
  readonly tenant: string;
  readonly uri: string;
  readonly hook: string;
  readonly hash: string;
  readonly entry: string;
  /** A deployed function: its thread gives way to nobody. */
  readonly kept?: boolean;
}

/** Sandboxes of uploaded policies, a thread each. */
export interface SandboxPool {
  get(code: UploadedCode): Promise<PolicyRunner>;
  close(): Promise<void>;
}

/** Threads kept ready. More policies than this work too: the one unused for longest gives way. */
const maxSandboxes = 8;
/** Of deployed functions, beside the others. */
const maxKept = 16;
const maxBundleCharacters = 8 * 2 ** 20;

/** @throws {PolicyError} POLICY_LIMIT_EXCEEDED */
export function assertBundle(uri: string, source: string): void {
  if (source.length <= maxBundleCharacters) return;
  throw new PolicyError(
    'POLICY_LIMIT_EXCEEDED',
    `the bundle of policy '${uri}' has ${source.length} characters; at most ${maxBundleCharacters} are loaded.`,
  );
}

export function createSandboxPool(loadArtifact: (hash: string) => Promise<string>): SandboxPool {
  /** In order of use, the latest last. */
  const shared = new Map<string, Promise<Sandbox>>();
  const kept = new Map<string, Promise<Sandbox>>();

  async function create({ uri, hook, hash, entry }: UploadedCode): Promise<Sandbox> {
    const source = await loadArtifact(hash);
    assertBundle(uri, source);
    return createSandbox({ uri, hook, source, entry });
  }

  /** Never throws. */
  async function evict(sandboxes: Map<string, Promise<Sandbox>>, max: number): Promise<void> {
    for (const [name, opening] of [...sandboxes]) {
      if (sandboxes.size <= max) return;
      const sandbox = await opening.catch(() => undefined);
      if (sandboxes.get(name) !== opening || (sandbox && !sandbox.idle)) continue;
      sandboxes.delete(name);
      await sandbox?.rest().catch(() => undefined);
    }
  }

  /** The code's sandbox, from now on the latest used. */
  async function touch(code: UploadedCode): Promise<Sandbox> {
    const name = JSON.stringify([code.tenant, code.uri, code.hash, code.entry]);
    const sandboxes = code.kept ? kept : shared;
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
          if (code.kept) void evict(kept, maxKept);
          else void evict(shared, maxSandboxes);
          return sandbox.run(request);
        },
      };
    },
    async close() {
      const opened = [...shared.values(), ...kept.values()];
      shared.clear();
      kept.clear();
      await Promise.all(
        opened.map(async (opening) => (await opening.catch(() => undefined))?.close()),
      );
    },
  };
}
