import { createRequire } from 'node:module';

interface MessageType {
  encode(value: object): { finish(): Uint8Array };
  decode(bytes: Uint8Array): object;
  toObject(message: object, options: object): Record<string, unknown>;
  fromObject(value: object): object;
}

/** `aios.dataplane.v1.Frame` as protobufjs (what @grpc/proto-loader uses) reads and writes it. */
export function frameMessage(protoPath: string) {
  const protobuf = createRequire(import.meta.url)('protobufjs') as {
    loadSync(path: string): { lookupType(name: string): MessageType };
  };
  const type = protobuf.loadSync(protoPath).lookupType('aios.dataplane.v1.Frame');
  return {
    encode: (value: object): Uint8Array => type.encode(type.fromObject(value)).finish(),
    decode: (bytes: Uint8Array): object => {
      const { padding: _padding, ...fields } = type.toObject(type.decode(bytes), {
        longs: Number,
        defaults: true,
        bytes: Array,
      });
      return fields;
    },
  };
}
