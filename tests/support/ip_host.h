// A host without TCP for unit tests: IP, UDP and raw sockets over a link that records, and time that the test moves.
//
//   IpHost host;                                        // 10.77.0.2/24 on a TUN
//   host.receive(udp_from_peer(53, 4000, "hello"));     // a packet comes in, is dispatched as Stack does, answers go
//   out const Packet answer = host.take();                  // the next packet that went out, parsed
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <string_view>
#include <vector>

#include "stack/base/checksum.h"
#include "stack/icmp/raw_sockets.h"
#include "stack/net/ip_layer.h"
#include "stack/udp/udp_sockets.h"
#include "stack/wire/arp.h"
#include "stack/wire/ethernet.h"
#include "stack/wire/icmp4.h"
#include "stack/wire/ipv4.h"
#include "stack/wire/tcp.h"
#include "stack/wire/udp.h"

namespace limpid::test {

using Bytes = std::vector<std::byte>;

inline constexpr IpAddress kMe = IpAddress::v4(10, 77, 0, 2);
inline constexpr IpAddress kAlsoMe = IpAddress::v4(10, 77, 0, 3);
inline constexpr IpAddress kPeer = IpAddress::v4(10, 77, 0, 1);
inline constexpr IpAddress kGateway = IpAddress::v4(10, 77, 0, 254);
inline constexpr IpAddress kFar = IpAddress::v4(192, 0, 2, 9);
inline constexpr IpAddress kNetBroadcast = IpAddress::v4(10, 77, 0, 255);
inline constexpr IpAddress kAllOnes = IpAddress::v4(255, 255, 255, 255);
inline constexpr MacAddress kMyMac{{2, 0, 0, 0, 0, 2}};
inline constexpr MacAddress kPeerMac{{2, 0, 0, 0, 0, 1}};
inline constexpr MacAddress kOtherMac{{2, 0, 0, 0, 0, 9}};

inline Bytes bytes_of(std::string_view text) {
  const auto b = std::as_bytes(std::span(text));
  return {b.begin(), b.end()};
}
inline std::string text_of(ByteSpan bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// --- packets ---

inline Ipv4Header header_from(const IpAddress& source, const IpAddress& destination, IpProtocol protocol) {
  Ipv4Header ip;
  ip.source = source;
  ip.destination = destination;
  ip.protocol = protocol;
  return ip;
}

inline Bytes packet(Ipv4Header ip, ByteSpan payload) {
  ip.total_length = static_cast<uint16_t>(ip.size() + payload.size());
  Bytes out(ip.size());
  ip.write(out);
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

inline Bytes udp_datagram(const Ipv4Header& ip, uint16_t from, uint16_t to, std::string_view text) {
  const Bytes data = bytes_of(text);
  const ByteSpan body = data;
  Bytes udp(UdpHeader::kSize);
  UdpHeader{.source_port = from, .destination_port = to}.write(udp, ip.source, ip.destination, {&body, 1});
  udp.insert(udp.end(), data.begin(), data.end());
  return packet(ip, udp);
}

inline Bytes udp_from_peer(uint16_t from, uint16_t to, std::string_view text) {
  return udp_datagram(header_from(kPeer, kMe, IpProtocol::udp), from, to, text);
}

inline Bytes icmp_message(const Icmp4Header& header, ByteSpan body) {
  Bytes message(Icmp4Header::kSize);
  header.write(message, {&body, 1});
  message.insert(message.end(), body.begin(), body.end());
  return message;
}

inline Bytes icmp_from(const IpAddress& source, const IpAddress& destination, const Icmp4Header& header,
                       ByteSpan body) {
  return packet(header_from(source, destination, IpProtocol::icmp), icmp_message(header, body));
}

inline Bytes ethernet(const MacAddress& to, const MacAddress& from, uint16_t type, ByteSpan payload) {
  Bytes frame(EthernetHeader::kSize);
  EthernetHeader{.destination = to, .source = from, .type = type}.write(frame);
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

// --- what came out ---

struct Packet {
  Ipv4Header ip;
  Bytes bytes;    // from the IP header on, padding trimmed
  Bytes payload;  // behind the IP header
};

inline Packet parse_packet(ByteSpan bytes) {
  const auto parsed = parse_ipv4(bytes);
  if (!parsed) {
    ADD_FAILURE() << "what was sent is no IPv4 packet";
    return {};
  }
  const ByteSpan whole = bytes.first(parsed->header.total_length);
  const ByteSpan payload = whole.subspan(parsed->header_size);
  return {parsed->header, Bytes(whole.begin(), whole.end()), Bytes(payload.begin(), payload.end())};
}

// Parses and checks the ICMP message that a packet carries.
inline ParsedIcmp4 icmp_in(const Packet& packet) {
  EXPECT_EQ(packet.ip.protocol, IpProtocol::icmp);
  const auto parsed = parse_icmp4(packet.payload);
  EXPECT_TRUE(parsed.has_value());
  return parsed ? *parsed : ParsedIcmp4{};
}

class RecordingPort final : public LinkPort {
 public:
  Transmit transmit(const TxFrame& frame, Time) override {
    if (full) return Transmit::refused;
    Bytes bytes(frame.head.begin(), frame.head.end());
    for (ByteSpan piece : frame.body) bytes.insert(bytes.end(), piece.begin(), piece.end());
    frames.push_back(std::move(bytes));
    offloads.push_back(frame.offload);
    heads.push_back(frame.head.size());
    return Transmit::taken;
  }
  std::deque<Bytes> frames;
  std::vector<FrameOffload> offloads;  // of all that were sent …
  std::vector<size_t> heads;           // … and the bytes of their heads
  bool full = false;
};

class RecordingReady final : public ReadySink {
 public:
  void raise(SocketId socket, ReadyEvents events) override { raised.push_back({socket, events}); }
  struct Wake {
    SocketId socket;
    ReadyEvents events;
  };
  std::vector<Wake> raised;
};

class RecordingTrace final : public TraceSink {
 public:
  void event(const Event& e) override { events.push_back(e); }
  // The last event of a kind; an empty one when there was none.
  Event last(EventKind kind) const {
    for (size_t i = events.size(); i-- > 0;)
      if (events[i].kind == kind) return events[i];
    return {};
  }
  std::vector<Event> events;
};

class IpHost {
 public:
  explicit IpHost(LinkKind kind = LinkKind::ip, uint32_t mtu = 1500, bool offloads = false) : kind_(kind) {
    tracer.set_sink(&trace);
    link = ip.add_interface({.name = "if0", .kind = kind, .mtu = mtu, .mac = kMyMac, .offloads = offloads}, port);
    ip.add_address(link, kMe, 24);
    ip.add_address(link, kAlsoMe, 24);
  }

  // A frame comes in on the link, and all that follows from it happens.
  Delivery receive(ByteSpan frame) {
    const Delivery delivery = ip.receive(link, pool.copy(frame), now);
    dispatch(delivery);
    drain_loopback();
    return delivery;
  }
  // The same for an IP packet in an Ethernet frame from the peer.
  Delivery receive_ethernet(ByteSpan packet, const MacAddress& to = kMyMac, const MacAddress& from = kPeerMac) {
    return receive(ethernet(to, from, ether_type::ipv4, packet));
  }
  void drain_loopback() {
    while (ip.has_loopback()) dispatch(ip.receive_loopback(now));
  }
  void pass(Duration time) {
    for (const Time end = now + time; now < end;) {
      now = std::min(end, std::max(now, ip.next_deadline()));
      ip.advance(now);
      drain_loopback();
    }
  }

  // The oldest frame that went out, whole.
  Bytes take_frame() {
    if (port.frames.empty()) {
      ADD_FAILURE() << "nothing was sent";
      return Bytes(60);
    }
    Bytes frame = std::move(port.frames.front());
    port.frames.pop_front();
    return frame;
  }
  Packet take() {
    const Bytes frame = take_frame();
    return parse_packet(ByteSpan(frame).subspan(kind_ == LinkKind::ethernet ? EthernetHeader::kSize : 0));
  }
  bool silent() const { return port.frames.empty(); }
  uint64_t count(Counter c) const { return counters[c]; }

  IpConfig config;
  UdpConfig udp_config;
  TcpConfig tcp_config;
  Time now = Time{} + 100s;
  FramePool pool{64 << 20};
  Counters counters;
  RecordingTrace trace;
  Tracer tracer;
  RecordingPort port;
  RecordingReady ready;
  Ip ip{config, Rng(1).split("ip"), pool, counters, tracer};
  UdpSockets udp{udp_config, tcp_config, Rng(1).split("udp"), ip, counters, tracer, ready};
  RawSockets raw{ip, counters, tracer, ready};
  InterfaceId link = 0;

 private:
  // What Stack does with a delivery, without TCP.
  void dispatch(const Delivery& d) {
    if (d.kind == Delivery::Kind::none) return;
    const bool raw_took = raw.receive(d, now);
    if (d.kind == Delivery::Kind::icmp_error) {
      if (d.protocol == IpProtocol::udp) udp.icmp_error(d, now);
      raw.icmp_error(d);
      return;
    }
    if (d.protocol == IpProtocol::icmp) return;
    if (d.protocol == IpProtocol::udp) {
      if (!udp.receive(d, now)) ip.send_unreachable(d, icmp4_unreachable::port, now);
    } else if (!raw_took) {
      ip.send_unreachable(d, icmp4_unreachable::protocol, now);
    }
  }

  LinkKind kind_;
};

}  // namespace limpid::test
