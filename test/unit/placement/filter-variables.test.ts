import { describe, expect, it } from 'vitest';
import {
  checkEntityFilter,
  checkFilter,
  filterVariables,
} from '../../../runtime/placement/filter/index.ts';

const values = { number: 1, bytes: '2Gi', text: 'a', truth: true, any: 'a', things: 1 } as const;

describe.each(['cluster', 'node', 'gpu', 'block'] as const)(
  'the names listed for a %s',
  (level) => {
    it.each(filterVariables[level]())('$name stands in a condition', ({ query, name, type }) => {
      const [part = ''] = query.split(', ');
      const condition =
        type === 'things'
          ? { aggOperator: 'count', target: name, operator: '>=', value: 1 }
          : { variable: name, operator: '==', value: values[type] };
      const filter = { [part]: part === 'gpuQuery' ? { count: 1, where: condition } : condition };

      const problems =
        level === 'block' ? checkEntityFilter('block', filter, '$') : checkFilter(filter);

      expect(problems).toEqual([]);
    });
  },
);
