import { lstat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Problem } from '../../sdk/errors.ts';
import type { SplitPlan } from '../../sdk/spec/plan.ts';
import { workerLimits } from './worker-protocol.ts';

/** Files that the documents name, and where a split folder holds them. */
function plannedFiles(plan: SplitPlan, outFolder: string) {
  const shards = plan.components.flatMap(({ stage, graph }, index) => {
    const part = stage ?? graph;
    const folder = plan.shards.find((shard) => shard.index === part?.index)?.folder ?? '';
    return (part?.files ?? []).map((file, n) => ({
      ...{ file, path: join(outFolder, folder, file.name) },
      at: `$.components[${index}].${stage ? 'stage' : 'graph'}.files[${n}]`,
    }));
  });
  const tokenizer = (plan.vdag.generation?.files ?? []).map((file, n) => ({
    ...{ file, path: join(outFolder, 'tokenizer', file.name) },
    at: `$.vdag.generation.files[${n}]`,
  }));
  return [...shards, ...tokenizer];
}

/** What the plan names and an author's splitter did not write so. */
export async function findFileProblems(
  plan: SplitPlan,
  outFolder: string,
): Promise<readonly Problem[]> {
  const problems: Problem[] = [];
  for (const { file, path, at } of plannedFiles(plan, outFolder)) {
    const found = await lstat(path).catch(() => undefined);
    const seen = found?.isFile() ? `${found.size} bytes` : found ? 'no plain file' : 'nothing';
    if (found?.isFile() && found.size === file.sizeBytes) continue;
    const expected = `a file of ${file.sizeBytes} bytes at ${relative(outFolder, path)}`;
    problems.push({ path: at, message: 'names a file that was not written so', expected, seen });
    if (problems.length >= workerLimits.problems) break;
  }
  return problems;
}
