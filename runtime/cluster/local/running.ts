import { rm } from 'node:fs/promises';
import type { InstanceProcess } from '../backend.ts';

/** Whose instance it is, and where. */
export interface Place {
  readonly tenant: string;
  readonly clusterId: string;
  readonly nodeId: string;
}

/** An instance from before its process is spawned until after it is gone. */
export interface Running extends Place {
  readonly instanceId: string;
  readonly folder: string;
  readonly logPath: string;
  /** While its process runs: known once it was spawned, or when it was adopted. */
  pid?: number;
  /** Of a process that is not our child: who it is, as exits of strangers are only seen by asking. */
  adopted?: InstanceProcess;
  stopping: boolean;
  /** Why it was ended unasked. */
  endedFor?: string;
  readonly gone: Promise<void>;
  readonly resolveGone: () => void;
}

export function createRunning(
  instanceId: string,
  { tenant, clusterId, nodeId }: Place,
  paths: Pick<Running, 'folder' | 'logPath'>,
): Running {
  let resolveGone = (): void => undefined;
  const gone = new Promise<void>((resolve) => {
    resolveGone = resolve;
  });
  return { instanceId, tenant, clusterId, nodeId, ...paths, stopping: false, gone, resolveGone };
}

/** Never throws: whatever the disk says, the process is gone, and whoever waits for that must hear it. */
export async function removeFolder({ folder }: Running): Promise<void> {
  // Something that the instance had started may still be writing there.
  const options = { recursive: true, force: true, maxRetries: 5 };
  await rm(folder, options).catch((error: Error) => process.emitWarning(error));
}
