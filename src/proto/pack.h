/*
 * pack.h - a message to bytes, in one pass.
 *
 * The same bytes as protobuf_c_message_pack() makes of it, from the same descriptors, without asking first how many
 * they will be: a broker that answers some hundred thousand requests a second would spend a fifth of its time on that.
 */
#ifndef GRANARY_PROTO_PACK_H
#define GRANARY_PROTO_PACK_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#define PACK_NO_ROOM SIZE_MAX
#define PACK_SLACK   16u /* room that is needed beyond the message itself */

/*
 * Packs `message` to the end of the `size` bytes at `to`: its last byte is to[size - 1]. Returns its length, or
 * PACK_NO_ROOM when it and PACK_SLACK bytes do not fit; what is at `to` is undefined then. Members must be of the kinds
 * that proto/granary.proto uses: anything else is an assert.
 */
size_t pack_message(const ProtobufCMessage *message, uint8_t *to, size_t size);

#endif
