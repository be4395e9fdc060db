/*
 * unpack.h - a message from bytes that anybody may have sent.
 *
 * The same messages, from the same descriptors, as protobuf_c_message_unpack() makes, into memory that its owner gives
 * back all at once. Stricter: a field that the schema does not know, or one that comes twice without being a list, is
 * refused, at any depth. Lists may come in parts, and numbers in lists packed or not.
 */
#ifndef GRANARY_PROTO_UNPACK_H
#define GRANARY_PROTO_UNPACK_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

/*
 * NULL: malformed, or `arena->alloc` had no room. What was taken stays taken, and nothing is ever freed. The message
 * does not point into `bytes`. Fields must be of the kinds that proto/granary.proto uses.
 */
ProtobufCMessage *unpack_message(const ProtobufCMessageDescriptor *descriptor, const ProtobufCAllocator *arena,
                                 const uint8_t *bytes, size_t size);

#endif
