// Writes the seeds of fuzz_wire: one small file for each kind of packet, whole and broken. make_corpus FOLDER
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "tests/support/packets.h"

namespace limpid {
namespace {

// The first byte of an input, as fuzz_wire.cc reads it.
enum class Format : uint8_t { ethernet, ip, arp, tcp, udp, icmp, quotation, tcp_options };

const IpAddress kA = IpAddress::v4(10, 77, 0, 1);
const IpAddress kB = IpAddress::v4(10, 77, 0, 2);

class Corpus {
 public:
  explicit Corpus(std::filesystem::path folder) : folder_(std::move(folder)) {
    std::filesystem::create_directories(folder_);
  }
  void add(const std::string& name, Format format, ByteSpan bytes) {
    std::ofstream out(folder_ / name, std::ios::binary);
    out.put(static_cast<char>(format));
    out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    ++files_;
  }
  int files() const { return files_; }

 private:
  std::filesystem::path folder_;
  int files_ = 0;
};

Bytes bytes(std::initializer_list<int> values) {
  Bytes b;
  for (int v : values) b.push_back(static_cast<std::byte>(v));
  return b;
}

std::string_view as_text(const Bytes& b) { return {reinterpret_cast<const char*>(b.data()), b.size()}; }

TcpHeader tcp(uint8_t flags) {
  return {.source_port = 40000,
          .destination_port = 80,
          .sequence = 1,
          .acknowledgment = 2,
          .flags = flags,
          .window = 64240};
}

void add_tcp(Corpus& corpus) {
  TcpHeader syn = tcp(tcp_flag::syn);
  syn.options.mss = 1460;
  syn.options.sack_permitted = true;
  syn.options.timestamps = TcpTimestamps{7, 0};
  syn.options.window_scale = 8;
  corpus.add("tcp_syn", Format::ip, tcp_packet(kA, kB, syn));
  corpus.add("tcp_segment_syn", Format::tcp, tcp_segment(kA, kB, syn));
  syn.options.timestamps.reset();
  corpus.add("tcp_syn_without_timestamps", Format::ip, tcp_packet(kA, kB, syn));

  TcpHeader sack = tcp(tcp_flag::ack);
  sack.options.sack_count = 4;
  for (uint32_t i = 0; i < 4; ++i) sack.options.sack[i] = {100 * i, 100 * i + 50};
  corpus.add("tcp_sack_4", Format::ip, tcp_packet(kA, kB, sack));
  sack.options.timestamps = TcpTimestamps{1, 2};
  sack.options.sack_count = 3;
  corpus.add("tcp_sack_3_timestamps", Format::ip, tcp_packet(kA, kB, sack));

  corpus.add("tcp_data", Format::ip, tcp_packet(kA, kB, tcp(tcp_flag::ack | tcp_flag::psh), "GET / HTTP/1.0\r\n\r\n"));
  corpus.add("tcp_fin", Format::ip, tcp_packet(kA, kB, tcp(tcp_flag::ack | tcp_flag::fin)));
  corpus.add("tcp_rst", Format::ip, tcp_packet(kA, kB, tcp(tcp_flag::rst)));
  TcpHeader urgent = tcp(tcp_flag::ack | tcp_flag::urg);
  urgent.urgent_pointer = 3;
  corpus.add("tcp_urgent", Format::ip, tcp_packet(kA, kB, urgent, "urgent"));

  Bytes offset = tcp_segment(kA, kB, tcp(tcp_flag::ack), "text");
  store8(offset, 12, 0xf0);
  corpus.add("tcp_offset_beyond", Format::tcp, offset);
  store8(offset, 12, 0x40);
  corpus.add("tcp_offset_4", Format::tcp, offset);
  corpus.add("tcp_cut", Format::tcp, ByteSpan(offset).first(19));
}

void add_tcp_options(Corpus& corpus) {
  corpus.add("options_odd_alignment", Format::tcp_options,
             bytes({1, 2, 4, 5, 0xb4, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9, 1, 4, 2}));
  corpus.add("options_end_of_list", Format::tcp_options, bytes({3, 3, 8, 0, 2, 4, 5, 0xb4}));
  corpus.add("options_unknown", Format::tcp_options, bytes({253, 4, 1, 2, 28, 4, 0, 60, 34, 2, 2, 4, 5, 0xb4}));
  corpus.add("options_length_0", Format::tcp_options, bytes({2, 4, 5, 0xb4, 8, 0, 0, 0}));
  corpus.add("options_length_1", Format::tcp_options, bytes({2, 4, 5, 0xb4, 5, 1, 0, 0}));
  corpus.add("options_overrun", Format::tcp_options, bytes({1, 1, 1, 5, 34, 0, 0, 0}));
  corpus.add("options_no_length", Format::tcp_options, bytes({1, 1, 1, 2}));
  corpus.add("options_all_at_once", Format::tcp_options,
             bytes({2, 4,  5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 3, 3, 255,
                    5, 18, 0, 0,    0, 1, 0, 0,  0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 1}));
}

void add_ip(Corpus& corpus) {
  Ipv4Header fragment = ip_header(kA, kB, IpProtocol::udp);
  fragment.more_fragments = true;
  fragment.fragment_offset = 1480;
  corpus.add("ip_fragment", Format::ip, ip_packet(fragment, "12345678"));
  corpus.add("ip_unknown_protocol", Format::ip, ip_packet(ip_header(kA, kB, static_cast<IpProtocol>(253)), "12345678"));

  const auto with_options = [](const Bytes& options) {
    Ipv4Header h = ip_header(kA, kB, IpProtocol::udp);
    std::ranges::copy(options, h.options.storage.begin());
    h.options.length = static_cast<uint8_t>(options.size());
    return ip_packet(h, udp_datagram(kA, kB, {5000, 53}, "x"));
  };
  corpus.add("ip_record_route", Format::ip, with_options(bytes({1, 7, 7, 4, 0, 0, 0, 0})));
  corpus.add("ip_loose_source_route", Format::ip, with_options(bytes({131, 7, 4, 10, 0, 0, 1, 0})));
  corpus.add("ip_strict_source_route", Format::ip, with_options(bytes({137, 7, 4, 10, 0, 0, 1, 0})));
  corpus.add("ip_router_alert", Format::ip, with_options(bytes({148, 4, 0, 0})));
  corpus.add("ip_option_length_0", Format::ip, with_options(bytes({200, 0, 0, 0})));
  corpus.add("ip_option_overrun", Format::ip, with_options(bytes({1, 200, 4, 0})));

  Bytes padded = udp_packet(kA, kB, {1, 2}, "");
  padded.resize(46);
  corpus.add("ip_padded", Format::ip, padded);
  corpus.add("ip_cut", Format::ip, ByteSpan(padded).first(19));
  store8(padded, 0, 0x4f);
  corpus.add("ip_header_beyond", Format::ip, padded);
  store8(padded, 0, 0x60);
  corpus.add("ip_version_6", Format::ip, padded);
}

void add_udp_and_icmp(Corpus& corpus) {
  corpus.add("udp", Format::ip, udp_packet(kA, kB, {5000, 53}, "question"));
  Bytes datagram = udp_datagram(kA, kB, {5000, 53}, "question");
  corpus.add("udp_datagram", Format::udp, datagram);
  store16(datagram, 4, 7);
  corpus.add("udp_length_7", Format::udp, datagram);
  store16(datagram, 4, 12);
  corpus.add("udp_shorter_than_payload", Format::udp, datagram);

  corpus.add("icmp_echo_request", Format::ip,
             icmp_packet(kA, kB, Icmp4Header::echo(icmp4_type::echo_request, 1, 2), "ping"));
  corpus.add("icmp_echo_reply", Format::ip,
             icmp_packet(kA, kB, Icmp4Header::echo(icmp4_type::echo_reply, 1, 2), "ping"));
  const Bytes about = tcp_packet(kB, kA, tcp(tcp_flag::ack), "quoted");
  const auto error = [&](uint8_t type, uint8_t code, uint32_t rest, size_t quoted) {
    return icmp_packet(kA, kB, {.type = type, .code = code, .rest = rest}, as_text(about).substr(0, quoted));
  };
  corpus.add("icmp_port_unreachable", Format::ip, error(3, 3, 0, 28));
  corpus.add("icmp_fragmentation_needed", Format::ip, error(3, 4, 1400, 46));
  corpus.add("icmp_time_exceeded", Format::ip, error(11, 0, 0, 28));
  corpus.add("icmp_redirect", Format::ip, error(5, 1, 0x0a4d0003, 28));
  corpus.add("icmp_parameter_problem", Format::ip, error(12, 0, 0x14000000, 28));
  corpus.add("icmp_quotation_cut", Format::ip, error(3, 3, 0, 27));
  corpus.add("icmp_timestamp", Format::ip, icmp_packet(kA, kB, {.type = 13}, "123456789012"));
  corpus.add("quotation", Format::quotation, ByteSpan(about).first(28));
}

void add_link(Corpus& corpus) {
  const MacAddress mac{{2, 0, 0, 0, 0, 1}};
  const ArpPacket request{.sender_mac = mac, .sender_ip = kA, .target_ip = kB};
  const ArpPacket reply{
      .operation = ArpPacket::kReply, .sender_mac = mac, .sender_ip = kB, .target_mac = mac, .target_ip = kA};
  const auto of_type = [&](uint16_t type) { return EthernetHeader{.destination = mac, .source = mac, .type = type}; };
  corpus.add("arp_request", Format::ethernet, frame(of_type(ether_type::arp), arp_bytes(request)));
  corpus.add("arp_reply", Format::ethernet, frame(of_type(ether_type::arp), arp_bytes(reply)));
  corpus.add("arp", Format::arp, arp_bytes(reply));
  corpus.add("arp_cut", Format::arp, ByteSpan(arp_bytes(reply)).first(27));
  corpus.add("ethernet_ip", Format::ethernet, frame(of_type(ether_type::ipv4), udp_packet(kA, kB, {1, 2}, "text")));
  corpus.add("ethernet_unknown", Format::ethernet, frame(of_type(0x88cc), bytes({1, 2, 3})));
  corpus.add("ethernet_cut", Format::ethernet, bytes({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}));
}

}  // namespace
}  // namespace limpid

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_corpus FOLDER (tests/fuzz/corpus)\n");
    return 2;
  }
  limpid::Corpus corpus(std::filesystem::path(argv[1]) / "wire");
  limpid::add_tcp(corpus);
  limpid::add_tcp_options(corpus);
  limpid::add_ip(corpus);
  limpid::add_udp_and_icmp(corpus);
  limpid::add_link(corpus);
  std::printf("%d files\n", corpus.files());
  return 0;
}
