/* any_message.h - random messages of every kind in the schema, the same in every run. */
#ifndef GRANARY_TEST_PROTO_ANY_MESSAGE_H
#define GRANARY_TEST_PROTO_ANY_MESSAGE_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#define ANY_BYTES_MAX (256u << 10) /* of one when it is packed */

extern const ProtobufCMessageDescriptor *const any_kinds[];
extern const size_t any_kinds_count;

uint64_t any_number(void);

/* Lives until the next one is asked for. */
const ProtobufCMessage *any_message(size_t kind);

#endif
