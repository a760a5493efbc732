// From a flow to its bucket: clusterip_hashfn of ipt_CLUSTERIP.c (kernel 5.10), with
// jhash_1word / jhash_2words / jhash_3words of include/linux/jhash.h.
#pragma once

#include "verdict/judgement.h"

// NOLINTBEGIN(cppcoreguidelines-macro-usage): for words, and for vectors of words (trial/batch.cc)
#define CLUSTERIP_JHASH_MIX(to, from, bits) \
  ((to) ^= (from), (to) -= ((from) << (bits)) | ((from) >> (32 - (bits))))

// __jhash_final: the hash is left in c.
#define CLUSTERIP_JHASH_FINAL(a, b, c)                                                          \
  (CLUSTERIP_JHASH_MIX(c, b, 14), CLUSTERIP_JHASH_MIX(a, c, 11), CLUSTERIP_JHASH_MIX(b, a, 25), \
   CLUSTERIP_JHASH_MIX(c, b, 16), CLUSTERIP_JHASH_MIX(a, c, 4), CLUSTERIP_JHASH_MIX(b, a, 14),  \
   CLUSTERIP_JHASH_MIX(c, b, 24))
// NOLINTEND(cppcoreguidelines-macro-usage)

// What all words of a hash begin with: the number of words enters it.
CLUSTERIP_INLINE uint32_t clusterip_hash_start(uint32_t words, uint32_t hash_init) {
  return hash_init + 0xdeadbeefu + (words << 2);  // JHASH_INITVAL
}

// The two port words of a packet as they enter the hash: the octets on the wire, read
// little-endian. Port 40000 (0x9c40 on the wire) enters as 0x409c.
struct clusterip_port_words {
  uint32_t source;
  uint32_t destination;
};

// Where a protocol has its two port words, in octets from the start of its header; below 0 for a
// protocol without ports. The kernel's proto_ports_offset.
CLUSTERIP_INLINE int clusterip_ports_offset(uint8_t protocol) {
  switch (protocol) {
    case 6:    // TCP
    case 17:   // UDP
    case 33:   // DCCP
    case 50:   // ESP: the halves of the SPI
    case 132:  // SCTP
    case 136:  // UDP-Lite
      return 0;
    case 51:  // AH: the halves of the SPI
      return 4;
    default:
      return -1;
  }
}

// From the four octets as they were loaded.
CLUSTERIP_INLINE struct clusterip_port_words clusterip_port_words_of(uint32_t wire) {
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
  wire = __builtin_bswap32(wire);
#endif
  const struct clusterip_port_words words = {wire & 0xffff, wire >> 16};
  return words;
}

// `hash_mode` is an enum clusterip_hash_mode: the number of ports that enter the hash. A word that
// does not is 0.
CLUSTERIP_INLINE uint32_t clusterip_hash(uint32_t saddr_host, struct clusterip_port_words ports,
                                         uint8_t hash_mode, uint32_t hash_init) {
  const uint32_t start = clusterip_hash_start(1u + hash_mode, hash_init);
  uint32_t a = saddr_host + start;
  uint32_t b = (hash_mode >= HASH_SOURCE_IP_SOURCE_PORT ? ports.source : 0) + start;
  uint32_t c = (hash_mode >= HASH_SOURCE_IP_SOURCE_PORT_DEST_PORT ? ports.destination : 0) + start;
  CLUSTERIP_JHASH_FINAL(a, b, c);
  return c;
}

// reciprocal_scale(hash, bucket_count) + 1: the buckets 1 to bucket_count. Not a modulo.
CLUSTERIP_INLINE uint8_t clusterip_bucket_of_hash(uint32_t hash, uint8_t bucket_count) {
  return (uint8_t)((((uint64_t)hash * bucket_count) >> 32) + 1);
}

CLUSTERIP_INLINE uint8_t clusterip_bucket_of(uint32_t saddr_host, struct clusterip_port_words ports,
                                             const struct clusterip_rule* rule) {
  return clusterip_bucket_of_hash(
      clusterip_hash(saddr_host, ports, rule->hash_mode, rule->hash_init), rule->bucket_count);
}
