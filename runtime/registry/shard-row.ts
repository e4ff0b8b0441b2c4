import type { ResourceSpecs } from '../../sdk/client/api.ts';
import type { Problem } from '../../sdk/errors.ts';

type Stage = NonNullable<ResourceSpecs['component']['stage']>;

/** Files of one name would lie over each other in an instance's folder; a graph that is not among them cannot be loaded. */
export function checkPartFiles(
  { graph, files }: Pick<Stage, 'graph' | 'files'>,
  at: readonly PropertyKey[],
  locate: (plain: readonly PropertyKey[]) => string,
): readonly Problem[] {
  const problems: Problem[] = [];
  const seen = new Set<string>();
  for (const [index, { name }] of files.entries()) {
    if (seen.has(name)) {
      const message = 'is the name of two files';
      problems.push({ path: locate([...at, 'files', index, 'name']), message, seen: name });
    }
    seen.add(name);
  }
  if (!seen.has(graph)) {
    const message = 'is not among the files';
    problems.push({ path: locate([...at, 'graph']), message, seen: graph });
  }
  return problems;
}

const sizes = ['hiddenSize', 'vocabularySize'] as const;

/**
 * Checks that a language model's stages are its layers, each once and in order: shards take what comes, and would answer
 * with nonsense.
 *
 * @param stageOf - what the block at a label runs; undefined for one that is no shard or is not known
 */
export function checkShardRow(
  { generation, nodes }: ResourceSpecs['vdag'],
  stageOf: (label: string) => Stage | undefined,
  locate: (plain: readonly PropertyKey[]) => string,
): readonly Problem[] {
  if (!generation) return [];
  const problems: Problem[] = [];
  let previous: Stage | undefined;
  for (const [index, label] of generation.stages.entries()) {
    const path = locate(['generation', 'stages', index]);
    const bound = nodes.some((node) => node.label === label && node.blockId !== undefined);
    const stage = stageOf(label);
    // What is bound later, or runs an author's own code, is not known here.
    if (!bound || !stage) return problems;
    const isFirst = index === 0;
    const isLast = index === generation.stages.length - 1;
    const add = (message: string, expected: string, seen: unknown): void => {
      problems.push({ path, message, expected, seen: String(seen) });
    };
    const first = previous === undefined ? 0 : previous.lastLayer + 1;
    if (stage.firstLayer !== first) {
      add(
        `shard '${label}' does not go on where the one before it ends`,
        `layer ${first} first`,
        stage.firstLayer,
      );
    }
    if (stage.hasEmbedding !== isFirst) {
      add(
        `shard '${label}' ${isFirst ? 'takes no tokens' : 'takes tokens, but is not the first'}`,
        `hasEmbedding ${isFirst}`,
        stage.hasEmbedding,
      );
    }
    if (stage.hasHead !== isLast) {
      add(
        `shard '${label}' ${isLast ? 'chooses no tokens' : 'chooses tokens, but is not the last'}`,
        `hasHead ${isLast}`,
        stage.hasHead,
      );
    }
    for (const size of sizes) {
      const wanted = previous?.[size] ?? generation[size];
      if (wanted !== undefined && stage[size] !== wanted) {
        add(
          `shard '${label}' is of another model: its ${size} differs`,
          String(wanted),
          stage[size],
        );
      }
    }
    if (stage.contextTokens < generation.contextTokens) {
      add(
        `shard '${label}' has room for fewer tokens than the vDAG promises`,
        `at least ${generation.contextTokens}`,
        stage.contextTokens,
      );
    }
    previous = stage;
  }
  return problems;
}
