// The pcapng file as stock tools see it: tshark shows the comments and journal entries, nothing is malformed, and
// tcpdump reads it too.
#include "drivers/pcapng.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "stack/wire/tcp.h"
#include "tests/support/fake_device.h"

namespace limpid {
namespace {

using test::Bytes;
using test::FakeDevice;
using test::ip_packet;
using test::receive_all;

bool installed(const std::string& program) {
  return std::system(("command -v " + program + " > /dev/null").c_str()) == 0;
}

std::string output_of(const std::string& command) {
  std::FILE* pipe = ::popen(("timeout 30 " + command + " 2>/dev/null").c_str(), "r");
  std::string text;
  for (int c; pipe != nullptr && (c = std::fgetc(pipe)) != EOF;) text += static_cast<char>(c);
  if (pipe != nullptr) ::pclose(pipe);
  return text;
}

// A whole segment with checksums right, so that tshark has nothing to complain about.
Bytes segment(uint16_t from, uint16_t to, uint32_t seq, uint32_t ack, uint8_t flags, size_t text) {
  Bytes packet = ip_packet(6, from, to, 40 + text);
  TcpHeader header;
  header.source_port = from;
  header.destination_port = to;
  header.sequence = seq;
  header.acknowledgment = ack;
  header.flags = flags;
  header.window = 65'535;
  const Bytes payload(text, std::byte{'x'});
  const ByteSpan body[] = {payload};
  std::copy(payload.begin(), payload.end(), packet.begin() + 40);
  header.write(MutableByteSpan(packet).subspan(20, 20), IpAddress::v4(10, 77, 0, 1), IpAddress::v4(10, 77, 0, 2), body);
  return packet;
}

// A stack's part: takes frames from the device and says what it thinks of them.
class Conversation {
 public:
  explicit Conversation(const std::string& path, const PcapngOptions& options = {}) : writer(path, options) {
    tracer.set_sink(&device);
  }
  EventNumber emit(EventKind kind, Rule rule, std::initializer_list<uint32_t> words) {
    return tracer.emit(kind, rule, 1, now, words);
  }
  void comes_in(const Bytes& frame) {
    arrives(frame);
    taken(static_cast<uint32_t>(frame.size()));
  }
  void arrives(const Bytes& frame) {
    inner.inbound.push_back(frame);
    receive_all(device, now);
  }
  void taken(uint32_t length) { tracer.begin_input(emit(EventKind::link_frame_in, Rule::link_input, {1, length, 0})); }
  Transmit goes_out(const Bytes& frame, EventNumber why) { return test::send(device, frame, now, why); }

  PcapngWriter writer;
  FakeDevice inner;
  PcapngDevice device{inner, writer, {.host = "client"}};
  Tracer tracer;
  Time now{};
};

class Pcapng : public ::testing::Test {
 protected:
  void SetUp() override { path = ::testing::TempDir() + "limpid-" + std::to_string(::getpid()) + ".pcapng"; }
  void TearDown() override { std::filesystem::remove(path); }
  std::string tshark(const std::string& arguments) const { return output_of("tshark -n -r " + path + " " + arguments); }
  std::string path;
};

// Our SYN, the peer's SYN,ACK, text, a timeout, the text again.
void write_conversation(const std::string& path, const PcapngOptions& options) {
  Conversation c(path, options);
  c.emit(EventKind::tcp_state_updated, Rule::tcp_active_open, {0, 2});
  c.goes_out(segment(40000, 80, 99, 0, 2, 0),
             c.emit(EventKind::tcp_packet_sent, Rule::tcp_active_open, {0, 0, 0, 2, 65535, 2, 0, 40000, 80}));
  c.now = Time{40ms};
  c.comes_in(segment(80, 40000, 499, 100, 0x12, 0));
  c.emit(EventKind::tcp_packet_received, Rule::tcp_arrived, {0, 1, 0, 0x12, 65535, 2, 0, 80, 40000});
  c.emit(EventKind::tcp_state_updated, Rule::tcp_syn_acked, {2, 4});
  c.goes_out(segment(40000, 80, 100, 500, 0x18, 1000),
             c.emit(EventKind::tcp_packet_sent, Rule::tcp_new_data, {1, 1, 1000, 0x18, 65535, 4, 0, 40000, 80}));
  c.now = Time{340ms};
  c.emit(EventKind::tcp_timer_expired, Rule::tcp_retransmit_timeout, {0, 0});
  c.goes_out(segment(40000, 80, 100, 500, 0x18, 1000), c.emit(EventKind::tcp_packet_sent, Rule::tcp_retransmit_timeout,
                                                              {1, 1, 1000, 0x18, 65535, 4, 1, 40000, 80}));
  c.inner.refuse = true;
  c.goes_out(segment(40000, 80, 1100, 500, 0x18, 1000), 0);
}

TEST_F(Pcapng, TsharkShowsTheReasonOfEachPacket) {
  if (!installed("tshark")) GTEST_SKIP() << "tshark is not installed";
  write_conversation(path, {});
  EXPECT_EQ(tshark("-Y 'frame.comment contains \"recovery.rto\"' -T fields -e frame.number -e frame.time_relative"),
            "7\t0.340000000\n");
  EXPECT_EQ(tshark("-Y 'frame.comment contains \"SYN-SENT new ESTABLISHED\"' -T fields -e frame.number"), "3\n")
      << "what came in carries what was decided about it";
  EXPECT_EQ(tshark("-Y 'frame.comment contains \"RFC 6298 §5.4\"' -T fields -e tcp.len"), "1000\n");
  EXPECT_EQ(tshark("-Y tcp -T fields -e frame.packet_flags_direction"),
            "0x00000002\n0x00000001\n0x00000002\n0x00000002\n")
      << "the refused frame was never sent, so it is not there";
  EXPECT_EQ(tshark("-Y tcp -T fields -e frame.cap_len -e frame.len"), "40\t40\n40\t40\n128\t1040\n128\t1040\n");
  EXPECT_EQ(tshark("-Y 'frame.packet_id == 2' -T fields -e tcp.flags.syn"), "1\n");
}

TEST_F(Pcapng, OfPacketsThatAreReadAsOneTheLastCarriesWhatWasDecided) {
  {
    Conversation c(path);
    for (uint32_t i = 0; i < 3; ++i) c.arrives(segment(80, 40000, 500 + 1000 * i, 100, 0x10, 1000));
    c.arrives(segment(80, 40000, 9500, 100, 0x10, 1000));
    for (int i = 0; i < 3; ++i) c.taken(1040);
    c.emit(EventKind::tcp_packet_received, Rule::tcp_arrived, {1, 1, 3000, 0x10, 65535, 4, 0, 80, 40000});
    c.taken(1040);  // of this one nothing is told
    c.taken(1040);
  }
  std::ifstream file(path, std::ios::binary);
  const std::string all{std::istreambuf_iterator<char>(file), {}};
  size_t found = 0;
  for (size_t at = 0; (at = all.find("read as one with the next packet", at)) != std::string::npos; ++at) ++found;
  EXPECT_EQ(found, 2U) << "the first two; the third has the reason, and the fourth goes on from nothing";
}

TEST_F(Pcapng, EventsBetweenThePacketsAreJournalEntries) {
  if (!installed("tshark")) GTEST_SKIP() << "tshark is not installed";
  write_conversation(path, {});
  EXPECT_EQ(tshark("-Y systemd_journal -T fields -e frame.number"), "1\n4\n6\n");
  EXPECT_NE(tshark("-Y 'frame.number == 6'").find("timer_type rto"), std::string::npos);
  EXPECT_EQ(tshark("-Y 'systemd_journal.priority == 4' -T fields -e frame.number"), "6\n") << "a warning";
  EXPECT_EQ(tshark("-Y systemd_journal -T fields -e systemd_journal.hostname -c 1"), "client\n");
}

TEST_F(Pcapng, NothingIsMalformedWholeOrCut) {
  if (!installed("tshark")) GTEST_SKIP() << "tshark is not installed";
  for (const uint32_t snap : {0u, 64u, 128u}) {
    write_conversation(path, {.snap_length = snap, .epoch_ns = 1'700'000'000'000'000'000});
    EXPECT_EQ(tshark("-Y '_ws.malformed || _ws.expert.severity >= 0x00800000'"), "") << "snap length " << snap;
    EXPECT_EQ(tshark("-o tcp.check_checksum:TRUE -Y 'tcp.checksum.status == 0'"), "");
    EXPECT_EQ(tshark("-T fields -e frame.time_epoch -c 2"), "1700000000.000000000\n1700000000.000000000\n");
  }
}

TEST_F(Pcapng, TcpdumpReadsItToo) {
  if (!installed("tcpdump")) GTEST_SKIP() << "tcpdump is not installed";
  write_conversation(path, {});
  const std::string text = output_of("tcpdump -n -r " + path);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 4) << text;
}

TEST_F(Pcapng, FramesThatTheStackNeverTookAreWrittenWithoutAComment) {
  if (!installed("tshark")) GTEST_SKIP() << "tshark is not installed";
  {
    Conversation c(path);
    c.inner.inbound = {ip_packet(17, 1, 2, 60), ip_packet(17, 1, 2, 61), ip_packet(17, 1, 2, 62)};
    receive_all(c.device, c.now);
    c.emit(EventKind::link_frame_in, Rule::link_input, {0, 60, 0});  // one of loopback
    c.tracer.begin_input(c.emit(EventKind::link_frame_in, Rule::link_input, {1, 61, 0}));
    c.emit(EventKind::ip_dropped, Rule::ip_validate,
           {0x0a4d0001, 0x0a4d0002, 17, 61, static_cast<uint32_t>(Counter::ip4_drop_bad_checksum)});
  }
  EXPECT_EQ(tshark("-T fields -e frame.len"), "60\n61\n62\n");
  EXPECT_EQ(tshark("-Y 'frame.comment contains \"header checksum does not verify\"' -T fields -e frame.len"), "61\n");
  EXPECT_EQ(tshark("-Y frame.comment -T fields -e frame.len"), "61\n");
}

TEST(PcapngFile, ThatCannotBeMadeSaysSo) {
  try {
    PcapngWriter writer("/nonexistent/folder/x.pcapng", {});
    ADD_FAILURE();
  } catch (const DeviceError& e) {
    EXPECT_EQ(e.error(), ENOENT);
  }
}

}  // namespace
}  // namespace limpid
