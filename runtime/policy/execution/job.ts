import { PolicyError } from '../../../sdk/errors.ts';
import type { PolicyRunner, RunAnswer, RunRequest } from '../runner.ts';
import { createSandbox, type SandboxOptions } from '../sandbox.ts';
import type { createSlots } from './slots.ts';

/** A sandbox for one call: what a job did before, or does meanwhile, cannot be seen. Keeps no state, takes no commands. */
export function createJobRunner(
  uri: string,
  load: () => Promise<SandboxOptions>,
  inSlot: ReturnType<typeof createSlots>,
): PolicyRunner {
  async function once(request: RunRequest): Promise<RunAnswer> {
    const { signal } = request;
    const options = await load();
    const sandbox = createSandbox(options);
    const end = (): void => void sandbox.close();
    signal?.addEventListener('abort', end, { once: true });
    try {
      if (signal?.aborted) throw new PolicyError('CANCELLED', `job '${uri}' was cancelled.`);
      const { output, logs } = await sandbox.run({ ...request, state: {} });
      return { output, logs, state: request.state };
    } catch (fault) {
      if (!signal?.aborted) throw fault;
      throw new PolicyError('CANCELLED', `job '${uri}' was cancelled.`, { cause: fault });
    } finally {
      signal?.removeEventListener('abort', end);
      await sandbox.close();
    }
  }

  return {
    async run(request) {
      if (request.command) {
        const message = `policy '${uri}' runs as a job, which nobody can talk to. Publish it with --execution local or function.`;
        throw new PolicyError('UNSUPPORTED', message);
      }
      // The wait is bounded, and not taken from its time: neither is the start of its sandbox.
      return inSlot(request, () => once(request));
    },
  };
}
