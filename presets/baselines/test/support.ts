import { createSession, crossEntropy, sgd } from '@espalier/core';
import type { Session, SessionConfig } from '@espalier/core';
import { tinySource, trainedValues, withSession } from '@espalier/testkit';

/** A session on tiny data; `more` has the model and what differs. */
export function open(
  more: Pick<SessionConfig, 'model'> & Partial<SessionConfig>,
): Promise<Session> {
  return createSession({
    loss: crossEntropy(),
    optimizer: sgd({ learningRate: 0.1, momentum: 0.9 }),
    train: tinySource(),
    ...more,
  });
}

/** The values of a session's parameters after some epochs. */
export const train = (config: Parameters<typeof open>[0], epochs: number) =>
  withSession(open(config), (session) => trainedValues(session, epochs));
