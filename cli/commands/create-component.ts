import { createCommand } from '../create.ts';

export const createComponent = createCommand({
  kind: 'component',
  summary: 'Registers a workload: TypeScript, bundled and uploaded, or a document',
  examples: [
    ['aios create-component block.ts', 'whose default export is defineComponent(…)'],
    ['aios create-component component.json', 'a document; its "code": "./block.ts" is bundled too'],
  ],
  async load(context, file) {
    const { loadComponent } = await import('../authored.ts');
    return loadComponent(context, file);
  },
});
