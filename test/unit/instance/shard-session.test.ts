import { expect, it } from 'vitest';
import { emptyFrame, frameLimits } from '../../../runtime/dataplane/index.ts';
import type { StageShape } from '../../../runtime/instance/open-payload.ts';
import { type ShardSession, takeStep } from '../../../runtime/instance/shard-session.ts';

const stage: StageShape = {
  index: 0,
  count: 2,
  hasEmbedding: true,
  hasHead: false,
  hiddenSize: 4096,
  vocabularySize: 100,
  contextTokens: 131_072,
  maxSessions: 1,
};
const session = () => ({ id: 's', nextSequence: 1, nextPosition: 0 }) as unknown as ShardSession;
const step = (rows: number) => ({
  ...emptyFrame('step'),
  sequence: 1,
  rows,
  dtype: 'int32' as const,
  shape: [rows],
  payload: new Uint8Array(rows * 4),
});

it('a step whose activations would fit no frame is refused before it is computed', () => {
  const fitting = frameLimits.maxFrameBytes / (4 * stage.hiddenSize) - 1;
  const taken = session();
  takeStep(taken, stage, step(fitting));
  expect(taken.nextPosition).toBe(fitting);

  const refused = session();
  expect(() => takeStep(refused, stage, step(100_000))).toThrow(
    expect.objectContaining({
      code: 'FRAME_TOO_LARGE',
      details: { rows: 100_000, maxRows: fitting },
    }),
  );
  expect(refused.nextPosition).toBe(0);
});
