export { connectInstance, type FlowConnection } from './connect-instance.ts';
export type {
  ConnectOptions,
  FrameLink,
  InstanceConnection,
  InstanceSelfStatus,
  ShardSpan,
} from './connection.ts';
export type { FlowLink, FrameLinkOptions, MessageStream } from './flow-link.ts';
export {
  emptyFrame,
  type Frame,
  type FrameDtype,
  type FrameType,
  frameDtypes,
  frameLimits,
  frameTypes,
  type HelloPayload,
  type OpenPayload,
  payloadBytesOf,
  type RouteHop,
  type TokenPayload,
} from './frame.ts';
export { type DecodedFrame, decodeFrame, encodeFrame, encodeInPlace } from './frame-codec.ts';
export { fromStatus, toStatus } from './grpc-status.ts';
export { jsonBytes, readJson } from './hello.ts';
export { openFrameLink } from './link.ts';
export type { LinkSpeed } from './link-meter.ts';
export {
  type Attachment,
  type InstanceHandlers,
  type InstanceServer,
  type ServeOptions,
  serveInstance,
} from './serve.ts';
export { checkTicket, mintTicket } from './ticket.ts';
export {
  decodeActivations,
  type EncodedActivations,
  encodeActivations,
  isActivationDtype,
} from './wire-dtype.ts';
