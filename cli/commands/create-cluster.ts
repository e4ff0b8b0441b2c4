import { createCommand } from '../create.ts';

export const createCluster = createCommand({
  kind: 'cluster',
  summary: 'Declares a cluster: nodes, and what placement may promise on each',
  examples: [
    ['aios create-cluster edge.json', 'from a file'],
    [
      `echo '{"id":"edge","nodes":[{"id":"n1","memoryBytes":"2Gi","cpuCores":2}]}' | aios create-cluster -f -`,
      'from standard input',
    ],
  ],
});
