/** Fields 16 and 17 of `aios.dataplane.v1.LinkNote`, varints; a note holds one of them and nothing else. */
const receivedTag = [0x80, 0x01] as const;
const farewellTag = [0x88, 0x01] as const;
const maxBytes = 2 + 8;

/** What the ends of a link tell each other of the link itself, beside its frames. */
export type LinkNote =
  /** So many messages of the peer have come since the link began. */
  | { readonly type: 'received'; readonly messages: number }
  /** Nothing more will come: a stream that ends without it was cut. */
  | { readonly type: 'farewell' };

export const farewell: Buffer = Buffer.from([...farewellTag, 1]);

export function receivedNote(messages: number): Buffer {
  const bytes: number[] = [...receivedTag];
  let left = messages;
  while (left > 127) {
    bytes.push((left % 128) + 128);
    left = Math.floor(left / 128);
  }
  bytes.push(left);
  return Buffer.from(bytes);
}

/** @returns undefined for a frame */
export function readNote(message: Uint8Array): LinkNote | undefined {
  const first = message[0];
  // Every frame begins with its type, whose tag is another byte.
  if (first !== receivedTag[0] && first !== farewellTag[0]) return undefined;
  if (message[1] !== receivedTag[1] || message.length > maxBytes) return undefined;
  if (first === farewellTag[0]) return { type: 'farewell' };
  let messages = 0;
  for (let index = message.length - 1; index >= receivedTag.length; index -= 1) {
    messages = messages * 128 + ((message[index] ?? 0) % 128);
  }
  return { type: 'received', messages };
}
