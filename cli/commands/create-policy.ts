import { createCommand } from '../create.ts';

export const createPolicy = createCommand({
  kind: 'policy',
  summary: 'Uploads a policy; it runs in a sandbox wherever a document names its URI',
  examples: [
    ['aios create-policy my-policy.ts', 'whose default export is definePolicy(…)'],
    ['aios create-policy my-policy.ts --replace', 'again, after an edit'],
  ],
  async load(context, file) {
    const { loadPolicy } = await import('../authored.ts');
    return loadPolicy(context, file);
  },
});
