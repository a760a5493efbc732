// jhash_1word / jhash_2words / jhash_3words of the kernel's include/linux/jhash.h.
#pragma once

#include <bit>
#include <cstdint>

namespace clusterip {

inline constexpr std::uint32_t kJhashInitval = 0xdeadbeef;

// __jhash_nwords: initval goes into all three words, then __jhash_final mixes them.
constexpr std::uint32_t jhash_nwords(std::uint32_t a, std::uint32_t b, std::uint32_t c,
                                     std::uint32_t initval) noexcept {
  a += initval;
  b += initval;
  c += initval;
  c ^= b;
  c -= std::rotl(b, 14);
  a ^= c;
  a -= std::rotl(c, 11);
  b ^= a;
  b -= std::rotl(a, 25);
  c ^= b;
  c -= std::rotl(b, 16);
  a ^= c;
  a -= std::rotl(c, 4);
  b ^= a;
  b -= std::rotl(a, 14);
  c ^= b;
  c -= std::rotl(b, 24);
  return c;
}

constexpr std::uint32_t jhash_1word(std::uint32_t a, std::uint32_t initval) noexcept {
  return jhash_nwords(a, 0, 0, initval + kJhashInitval + (1u << 2));
}

constexpr std::uint32_t jhash_2words(std::uint32_t a, std::uint32_t b,
                                     std::uint32_t initval) noexcept {
  return jhash_nwords(a, b, 0, initval + kJhashInitval + (2u << 2));
}

constexpr std::uint32_t jhash_3words(std::uint32_t a, std::uint32_t b, std::uint32_t c,
                                     std::uint32_t initval) noexcept {
  return jhash_nwords(a, b, c, initval + kJhashInitval + (3u << 2));
}

}  // namespace clusterip
