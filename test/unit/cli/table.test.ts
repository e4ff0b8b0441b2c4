import { describe, expect, it } from 'vitest';
import { createProgress, renderBar } from '../../../cli/progress.ts';
import { displayWidth, renderTable } from '../../../cli/table.ts';

describe('a table', () => {
  it('aligns by what a terminal shows, not by characters', () => {
    const red = '\u001B[31mré\u001B[39m';
    const rows = [
      ['名前', '1'],
      [red, '22'],
      ['👩‍🚀 x', '333'],
    ];

    const lines = renderTable(['name', '>count'], rows).split('\n');

    expect(lines[0]).toBe('NAME  COUNT');
    expect(lines.slice(1).map((line) => displayWidth(line))).toEqual([11, 11, 11]);
  });

  it('has no spaces at the end of a line', () => {
    expect(
      renderTable(
        ['a', 'b'],
        [
          ['long', ''],
          ['x', 'y'],
        ],
      ),
    ).toBe('A     B\nlong\nx     y');
  });
});

describe('a table too wide for its terminal', () => {
  const rows = [
    ['edge', 'n1', '', 'refused: memoryBytes >= 2 GiB'],
    ['home', 'n2', '0.75', 'chosen'],
  ];
  const titles = ['cluster', 'node', '>score', 'verdict'];

  it('becomes a paragraph a row that loses nothing but empty cells', () => {
    expect(renderTable(titles, rows, { width: 30 })).toBe(
      [
        'CLUSTER edge',
        '  node n1',
        '  verdict refused: memoryBytes >= 2 GiB',
        'CLUSTER home',
        '  node n2, score 0.75',
        '  verdict chosen',
      ].join('\n'),
    );
  });

  it('stays a table where it just fits', () => {
    const table = renderTable(titles, rows);
    const width = Math.max(...table.split('\n').map(displayWidth));

    expect(renderTable(titles, rows, { width })).toBe(table);
  });
});

describe('progress', () => {
  it('writes nothing where nobody looks', () => {
    let written = '';
    const progress = createProgress({ write: (text) => (written += text) });

    progress.update('half');
    progress.done();

    expect(written).toBe('');
  });

  it('stays on one line of the terminal and leaves none behind', () => {
    let written = '';
    const output = { isTTY: true, columns: 10, write: (text: string) => (written += text) };
    const progress = createProgress(output);

    progress.update('0123456789abc');
    progress.done();

    expect(written).toBe('\r\u001B[K012345678\r\u001B[K');
  });

  it('draws fractions out of range as empty and full', () => {
    expect([renderBar(-1, 4), renderBar(0.5, 4), renderBar(7, 4)]).toEqual([
      '···· 0 %',
      '██·· 50 %',
      '████ 100 %',
    ]);
    expect(renderBar(0.9999, 4)).toBe('████ 99 %');
  });
});
