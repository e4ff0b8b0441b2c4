import { createCommand } from '../create.ts';

export const createVdag = createCommand({
  kind: 'vdag',
  summary: 'Joins blocks into a graph that is called as one thing',
  examples: [
    ['aios create-vdag examples/vdag/vdag.json', 'its blocks must exist'],
    [
      `echo '{"name": "two", "version": "1", "nodes": [{"label": "a", "blockId": "cut"}, {"label": "b", "blockId": "find"}], "edges": [{"from": "a", "to": "b"}]}' | aios create-vdag -f -`,
      'two blocks in a row; aios schema vdag tells the rest',
    ],
  ],
});
