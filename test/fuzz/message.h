/*
 * message.h - bodies of frames made of choices: mostly well-formed, with what a hostile sender would write among it.
 *
 * A fuzzer that has to find out protobuf by itself spends its time on bodies that are refused at their first byte. Here
 * the schema's own descriptors say which fields there are; the input chooses which are sent, with which values.
 */
#ifndef GRANARY_TEST_FUZZ_MESSAGE_H
#define GRANARY_TEST_FUZZ_MESSAGE_H

#include <protobuf-c/protobuf-c.h>

#include "fuzz.h"
#include "proto/frame.h"

#define MESSAGE_MAX 8192u /* bytes of one body */

/* The message that a frame of this type carries; NULL: no such type. */
const ProtobufCMessageDescriptor *message_of(uint16_t type);

/* One of the types; all have their turn. */
uint16_t message_type(fuzz_input *in);

/* A body for the type: from its descriptor, or (one in eight) bytes as they come. Returns its length. */
size_t message_body(fuzz_input *in, uint16_t type, uint8_t to[MESSAGE_MAX]);

/*
 * A whole frame with a true header: header and body at `to`. `number` and `acked` are the caller's. Returns its length.
 */
size_t message_frame(fuzz_input *in, uint16_t type, uint64_t number, uint64_t acked,
                     uint8_t to[FRAME_HEADER_BYTES + MESSAGE_MAX]);

#endif
