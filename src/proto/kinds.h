/*
 * kinds.h - the kinds of fields that proto/granary.proto uses, for packing and unpacking alike.
 */
#ifndef GRANARY_PROTO_KINDS_H
#define GRANARY_PROTO_KINDS_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KIND(type)       (1u << PROTOBUF_C_TYPE_##type)
#define KINDS_OF_32_BITS (KIND(UINT32) | KIND(INT32) | KIND(SINT32) | KIND(BOOL) | KIND(ENUM))
#define KINDS_OF_NUMBERS (KINDS_OF_32_BITS | KIND(UINT64))

_Static_assert(sizeof(protobuf_c_boolean) == sizeof(uint32_t), "a bool's member is as wide as a number's");

enum { WIRE_NUMBER = 0, WIRE_BYTES = 2 };

static inline bool kind_is_number(ProtobufCType type)
{
    return 1u << type & KINDS_OF_NUMBERS;
}

/* Bytes of an element in a list: a number, or a pointer. Lists of bytes are not used. */
static inline size_t kind_size(ProtobufCType type)
{
    return 1u << type & KINDS_OF_32_BITS ? sizeof(uint32_t) : sizeof(uint64_t);
}

_Static_assert(sizeof(void *) == sizeof(uint64_t) && sizeof(size_t) == sizeof(uint64_t) &&
                   offsetof(ProtobufCBinaryData, len) == 0,
               "a number of 64 bits, a pointer and a length are read alike");

#endif
