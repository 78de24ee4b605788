#include "drivers/offload_test.h"

#include "stack/wire/ethernet.h"
#include "stack/wire/ipv4.h"
#include "stack/wire/tcp.h"

namespace limpid {

OffloadTest::OffloadTest(uint16_t segment_text, const MacAddress& mac, size_t link_header) {
  const IpAddress nowhere = IpAddress::v4(127, 0, 0, 1);
  // A checksum alone goes with an ordinary packet.
  body_ = ByteSpan(text_).first(segment_text == 0 ? 500 : text_.size());
  const TcpHeader tcp{.flags = tcp_flag::ack};
  const size_t tcp_at = link_header + Ipv4Header::kMinSize;
  head_.resize(tcp_at + tcp.size());
  const MutableByteSpan out(head_);
  if (link_header > 0)
    EthernetHeader{.destination = mac, .source = mac, .type = ether_type::ipv4}.write(out.first(link_header));
  Ipv4Header{.total_length = static_cast<uint16_t>(head_.size() - link_header + body_.size()),
             .protocol = IpProtocol::tcp,
             .source = nowhere,
             .destination = nowhere}
      .write(out.subspan(link_header, Ipv4Header::kMinSize));
  tcp.write_open(out.subspan(tcp_at), nowhere, nowhere, body_.size());
  offload_ = {.segment_text = segment_text,
              .checksum_begin = static_cast<uint16_t>(tcp_at),
              .checksum_field = TcpHeader::kChecksumField,
              .checksum_open = true};
}

}  // namespace limpid
