// Ethernet and ARP.
#include <gtest/gtest.h>

#include "stack/base/rng.h"
#include "tests/support/packets.h"

namespace limpid {
namespace {

MacAddress random_mac(Rng& rng) {
  MacAddress mac;
  for (uint8_t& b : mac.bytes) b = static_cast<uint8_t>(rng.next());
  return mac;
}

// req: 894-1-a
TEST(Ethernet, WhatIsWrittenIsReadBack) {
  Rng rng(8);
  for (int round = 0; round < 2'000; ++round) {
    EthernetHeader h;
    h.destination = random_mac(rng);
    h.source = random_mac(rng);
    h.type = static_cast<uint16_t>(rng.next());
    ASSERT_EQ(parse_ethernet(frame(h, {})), h);
  }
  EXPECT_EQ(ether_type::ipv4, 0x0800);
  EXPECT_EQ(ether_type::arp, 0x0806);
}

TEST(Ethernet, AFrameShorterThanItsHeaderIsRefused) {
  const Bytes f = frame({}, {});
  for (size_t n = 0; n < 14; ++n)
    EXPECT_EQ(parse_ethernet(ByteSpan(f).first(n)).error(), Counter::link_drop_truncated) << n;
}

TEST(Arp, WhatIsWrittenIsReadBack) {
  Rng rng(9);
  for (int round = 0; round < 2'000; ++round) {
    ArpPacket p;
    p.operation = static_cast<uint16_t>(rng.next());
    p.sender_mac = random_mac(rng);
    p.sender_ip = IpAddress::v4(static_cast<uint32_t>(rng.next()));
    p.target_mac = random_mac(rng);
    p.target_ip = IpAddress::v4(static_cast<uint32_t>(rng.next()));
    Bytes bytes = arp_bytes(p);
    bytes.resize(EthernetHeader::kMinPayload);
    ASSERT_EQ(parse_arp(bytes), p) << "padding of the link is ignored";
  }
}

// req: 826-rx-a
TEST(Arp, OtherHardwareProtocolsAndLengthsAreRefused) {
  const Bytes good = arp_bytes({});
  for (size_t field = 0; field < 6; ++field) {
    Bytes bad = good;
    bad[field] ^= std::byte{2};
    EXPECT_EQ(parse_arp(bad).error(), Counter::arp_drop_malformed) << "octet " << field;
  }
  for (size_t n = 0; n < 28; ++n)
    EXPECT_EQ(parse_arp(ByteSpan(good).first(n)).error(), Counter::arp_drop_malformed) << n;
}

}  // namespace
}  // namespace limpid
