import type { WaitingRoom } from './waiting-room.ts';

/**
 * A model's room as it is handed out: what is done with it is done in the room that the model has then. So a model has one
 * room at a time, though another was forgotten while nobody was in it and somebody still made a prompt into tokens.
 */
export function foundRoom(now: () => WaitingRoom): WaitingRoom {
  return {
    pace: {
      firstToken: (timeToFirstTokenMs) => now().pace.firstToken(timeToFirstTokenMs),
      token: (tokenMs) => now().pace.token(tokenMs),
      ended: (answerTokens) => now().pace.ended(answerTokens),
      get answerMs() {
        return now().pace.answerMs;
      },
    },
    get waiting() {
      return now().waiting;
    },
    get open() {
      return now().open;
    },
    enter: (...who) => now().enter(...who),
    advance: () => now().advance(),
  };
}
