import { createCommand } from '../create.ts';

export const createVdag = createCommand({
  kind: 'vdag',
  summary: 'Joins blocks into a graph that is called as one thing',
  examples: [['aios create-vdag vdag.json', 'its blocks must exist']],
});
