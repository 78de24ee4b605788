#include "stack/wire/print.h"

#include <fmt/format.h>

#include <iterator>
#include <string_view>

#include "stack/wire/arp.h"
#include "stack/wire/ethernet.h"
#include "stack/wire/icmp4.h"
#include "stack/wire/ipv4.h"
#include "stack/wire/tcp.h"
#include "stack/wire/udp.h"

namespace limpid {
namespace {

template <class... Args>
void add(std::string& line, fmt::format_string<Args...> format, Args&&... args) {
  fmt::format_to(std::back_inserter(line), format, std::forward<Args>(args)...);
}

std::string_view reason(Counter counter) { return kCounterInfo[static_cast<size_t>(counter)].text; }

// An IP packet as far as it is there: `payload` may be shorter than `length` says.
struct Packet {
  Ipv4Header header;
  ByteSpan payload;
  size_t length = 0;

  bool whole() const { return payload.size() == length; }
};

// --- TCP -------------------------------------------------------------------------------------------------------------

std::string flags_text(uint8_t flags) {
  std::string text;
  const auto letter = [&](uint8_t flag, char c) {
    if ((flags & flag) != 0) text += c;
  };
  letter(tcp_flag::fin, 'F');
  letter(tcp_flag::syn, 'S');
  letter(tcp_flag::rst, 'R');
  letter(tcp_flag::psh, 'P');
  letter(tcp_flag::ack, '.');
  letter(tcp_flag::urg, 'U');
  letter(tcp_flag::ece, 'E');
  letter(tcp_flag::cwr, 'W');
  return text.empty() ? "none" : text;
}

void add_sack(std::string& line, ByteSpan value, uint32_t base) {
  add(line, "sack {} ", value.size() / 8);
  for (size_t at = 0; at < value.size(); at += 8)
    add(line, "{{{}:{}}}", load32(value, at) - base, load32(value, at + 4) - base);
}

void add_tcp_option(std::string& line, uint8_t kind, ByteSpan value, const SequenceBase& base) {
  if (kind == 2 && value.size() == 2) {
    add(line, "mss {}", load16(value, 0));
  } else if (kind == 3 && value.size() == 1) {
    add(line, "wscale {}", load8(value, 0));
  } else if (kind == 4 && value.empty()) {
    line += "sackOK";
  } else if (kind == 5 && !value.empty() && value.size() % 8 == 0) {
    add_sack(line, value, base.acknowledgment);
  } else if (kind == 34 && value.size() % 2 == 0) {
    line += value.empty() ? "tfo cookiereq" : "tfo cookie ";
    for (size_t i = 0; i < value.size(); ++i) add(line, "{:02x}", load8(value, i));
  } else if (kind == 8 && value.size() == 8) {
    add(line, "TS val {} ecr {}", load32(value, 0), load32(value, 4));
  } else {
    add(line, "unknown-{}", kind);
    for (size_t i = 0; i < value.size(); ++i) add(line, "{}{:02x}", i == 0 ? " 0x" : "", load8(value, i));
  }
}

// From the bytes rather than from TcpOptionSet, so that order, padding and nonsense show as they are.
void add_tcp_options(std::string& line, ByteSpan options, const SequenceBase& base) {
  for (size_t at = 0; at < options.size();) {
    if (at > 0) line += ',';
    const uint8_t kind = load8(options, at);
    if (kind == 0) {
      line += "eol";
      return;
    }
    if (kind == 1) {
      line += "nop";
      ++at;
      continue;
    }
    const size_t length = at + 1 < options.size() ? load8(options, at + 1) : 0;
    if (length < 2 || length > options.size() - at) {
      add(line, "malformed-{}", kind);
      return;
    }
    add_tcp_option(line, kind, options.subspan(at + 2, length - 2), base);
    at += length;
  }
}

void add_tcp(std::string& line, const Packet& p, const SequenceBase& base) {
  const auto parsed = parse_tcp_unverified(p.payload);
  if (!parsed) {
    add(line, " {} > {}: TCP malformed: {}", p.header.source.to_string(), p.header.destination.to_string(),
        reason(parsed.error()));
    return;
  }
  const TcpHeader& h = parsed->header;
  const size_t text = p.length - parsed->header_size;
  const uint32_t sequence = h.sequence - base.sequence;
  add(line, " {}.{} > {}.{}: Flags [{}]", p.header.source.to_string(), h.source_port, p.header.destination.to_string(),
      h.destination_port, flags_text(h.flags));
  if (p.whole() && !parse_tcp(p.payload, p.header.source, p.header.destination)) line += ", bad checksum";
  if (text > 0) {
    add(line, ", seq {}:{}", sequence, sequence + static_cast<uint32_t>(text));
  } else if ((h.flags & (tcp_flag::syn | tcp_flag::fin | tcp_flag::rst)) != 0) {
    add(line, ", seq {}", sequence);
  }
  if (h.has(tcp_flag::ack)) add(line, ", ack {}", h.acknowledgment - base.acknowledgment);
  add(line, ", win {}", h.window);
  if (h.has(tcp_flag::urg)) add(line, ", urg {}", h.urgent_pointer);
  if (parsed->header_size > TcpHeader::kMinSize) {
    line += ", options [";
    add_tcp_options(line, p.payload.subspan(TcpHeader::kMinSize, parsed->header_size - TcpHeader::kMinSize), base);
    line += ']';
  }
  add(line, ", length {}", text);
}

// --- UDP, ICMP, others
// -------------------------------------------------------------------------------------------------

void add_udp(std::string& line, const Packet& p) {
  if (p.payload.size() < UdpHeader::kSize) {
    add(line, " {} > {}: UDP malformed: {}", p.header.source.to_string(), p.header.destination.to_string(),
        reason(Counter::udp_drop_bad_length));
    return;
  }
  add(line, " {}.{} > {}.{}: UDP", p.header.source.to_string(), load16(p.payload, 0), p.header.destination.to_string(),
      load16(p.payload, 2));
  const size_t length = load16(p.payload, 4);
  if (length < UdpHeader::kSize || length > p.length) {
    add(line, ", bad length {}", length);
  } else {
    if (p.whole() && !parse_udp(p.payload, p.header.source, p.header.destination)) line += ", bad checksum";
    add(line, ", length {}", length - UdpHeader::kSize);
  }
}

// What an error is about: "udp 10.0.0.1.5000 > 10.0.0.2.53".
std::string quoted_text(ByteSpan body) {
  const auto quoted = parse_quoted_ipv4(body);
  if (!quoted) return "nothing readable";
  const Ipv4Header& h = quoted->header;
  if (h.is_fragment() || (h.protocol != IpProtocol::tcp && h.protocol != IpProtocol::udp))
    return fmt::format("ip-proto-{} {} > {}", static_cast<int>(h.protocol), h.source.to_string(),
                       h.destination.to_string());
  return fmt::format("{} {}.{} > {}.{}", h.protocol == IpProtocol::tcp ? "tcp" : "udp", h.source.to_string(),
                     load16(quoted->payload, 0), h.destination.to_string(), load16(quoted->payload, 2));
}

std::string unreachable_text(const Icmp4Header& h) {
  switch (h.code) {
    case icmp4_unreachable::net:
      return "net unreachable";
    case icmp4_unreachable::host:
      return "host unreachable";
    case icmp4_unreachable::protocol:
      return "protocol unreachable";
    case icmp4_unreachable::port:
      return "port unreachable";
    case icmp4_unreachable::fragmentation_needed:
      return fmt::format("fragmentation needed, mtu {}", h.next_hop_mtu());
    case icmp4_unreachable::source_route_failed:
      return "source route failed";
    case icmp4_unreachable::admin_prohibited:
      return "administratively prohibited";
    default:
      return fmt::format("unreachable code {}", h.code);
  }
}

std::string icmp_error_text(const Icmp4Header& h) {
  switch (h.type) {
    case icmp4_type::unreachable:
      return unreachable_text(h);
    case icmp4_type::source_quench:
      return "source quench";
    case icmp4_type::redirect:
      return fmt::format("redirect to {}", IpAddress::v4(h.rest).to_string());
    case icmp4_type::time_exceeded:
      return h.code == 0 ? "time exceeded in transit" : "time exceeded in reassembly";
    default:
      return fmt::format("parameter problem at {}", h.rest >> 24);
  }
}

void add_icmp(std::string& line, const Packet& p) {
  add(line, " {} > {}: ICMP", p.header.source.to_string(), p.header.destination.to_string());
  if (p.payload.size() < Icmp4Header::kSize) {
    add(line, " malformed: {}", reason(Counter::icmp_drop_truncated));
    return;
  }
  const Icmp4Header h{.type = load8(p.payload, 0), .code = load8(p.payload, 1), .rest = load32(p.payload, 4)};
  if (p.whole() && !parse_icmp4(p.payload)) line += " bad checksum,";
  if (h.type == icmp4_type::echo_request || h.type == icmp4_type::echo_reply) {
    add(line, " echo {}, id {}, seq {}", h.type == icmp4_type::echo_request ? "request" : "reply", h.identifier(),
        h.sequence());
  } else if (icmp4_is_error(h.type)) {
    add(line, " {}, about {}", icmp_error_text(h), quoted_text(p.payload.subspan(Icmp4Header::kSize)));
  } else {
    add(line, " type {} code {}", h.type, h.code);
  }
  add(line, ", length {}", p.length);
}

void add_fragment(std::string& line, const Packet& p) {
  const Ipv4Header& h = p.header;
  add(line, " {} > {}: ip-proto-{} fragment, id {}, offset {}, length {}{}", h.source.to_string(),
      h.destination.to_string(), static_cast<int>(h.protocol), h.identification, h.fragment_offset, p.length,
      h.more_fragments ? ", more follow" : "");
}

std::string malformed_ip(Counter counter, size_t length) {
  return fmt::format("IP malformed: {}, length {}", reason(counter), length);
}

}  // namespace

std::string print_packet(ByteSpan packet, const SequenceBase& base) {
  if (!packet.empty() && load8(packet, 0) >> 4 == 6) return fmt::format("IP6, length {}", packet.size());
  Packet p;
  if (const auto parsed = parse_ipv4(packet)) {
    p = {parsed->header, packet.subspan(parsed->header_size, parsed->payload_size), parsed->payload_size};
  } else {
    const auto cut = parse_quoted_ipv4(packet);
    if (parsed.error() != Counter::ip4_drop_truncated || !cut) return malformed_ip(parsed.error(), packet.size());
    p = {cut->header, cut->payload, cut->header.total_length - cut->header.size()};
  }
  std::string line = "IP";
  if (p.header.is_fragment()) {
    add_fragment(line, p);
  } else if (p.header.protocol == IpProtocol::tcp) {
    add_tcp(line, p, base);
  } else if (p.header.protocol == IpProtocol::udp) {
    add_udp(line, p);
  } else if (p.header.protocol == IpProtocol::icmp) {
    add_icmp(line, p);
  } else {
    add(line, " {} > {}: ip-proto-{}, length {}", p.header.source.to_string(), p.header.destination.to_string(),
        static_cast<int>(p.header.protocol), p.length);
  }
  return line;
}

std::string print_frame(ByteSpan frame, const SequenceBase& base) {
  const auto header = parse_ethernet(frame);
  if (!header) return fmt::format("Ethernet malformed: {}, length {}", reason(header.error()), frame.size());
  const ByteSpan payload = frame.subspan(EthernetHeader::kSize);
  if (header->type == ether_type::ipv4 || header->type == ether_type::ipv6) return print_packet(payload, base);
  if (header->type != ether_type::arp)
    return fmt::format("{} > {}, ethertype 0x{:04x}, length {}", header->source.to_string(),
                       header->destination.to_string(), header->type, frame.size());

  const auto arp = parse_arp(payload);
  if (!arp) return fmt::format("ARP malformed: {}, length {}", reason(arp.error()), payload.size());
  if (arp->operation == ArpPacket::kRequest)
    return fmt::format("ARP, Request who-has {} tell {}", arp->target_ip.to_string(), arp->sender_ip.to_string());
  if (arp->operation == ArpPacket::kReply)
    return fmt::format("ARP, Reply {} is-at {}", arp->sender_ip.to_string(), arp->sender_mac.to_string());
  return fmt::format("ARP, operation {}", arp->operation);
}

}  // namespace limpid
