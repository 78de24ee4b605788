// The printed dialogue: single lines from events, folding, and a whole download under loss between two real stacks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "drivers/pcapng.h"
#include "drivers/trace.h"
#include "stack/base/trace_text.h"
#include "stack/runtime/sim_net.h"
#include "stack/tcp/state.h"
#include "stack/tcp/timers.h"

namespace limpid {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

struct Lines {
  LogLine sink() {
    return [this](std::string_view line) { lines.emplace_back(line); };
  }
  std::string text() const {
    std::string all;
    for (const std::string& line : lines) all += line + "\n";
    return all;
  }
  std::vector<std::string> lines;
};

TEST(TraceText, NamesAreThoseOfTheStack) {
  for (uint32_t s = 0; s < kTcpStateCount; ++s) EXPECT_EQ(tcp_state_text(s), name(static_cast<TcpState>(s)));
  for (uint32_t t = 0; t < kTcpTimerCount; ++t) EXPECT_EQ(timer_text(t), kTcpTimerNames[t]);
}

// Speaks the events of one stack.
class Speaker {
 public:
  explicit Speaker(TraceSink& sink) { tracer.set_sink(&sink); }
  void sent(uint32_t seq, uint32_t ack, uint32_t len, uint32_t flags, uint32_t state, Rule why, bool again = false) {
    tracer.emit(EventKind::tcp_packet_sent, why, 1, now,
                {seq, ack, len, flags, 65535, state, again ? 1u : 0u, 40000, 80});
  }
  void received(uint32_t seq, uint32_t ack, uint32_t len, uint32_t flags, uint32_t state) {
    tracer.emit(EventKind::tcp_packet_received, Rule::tcp_arrived, 1, now,
                {seq, ack, len, flags, 65535, state, 0, 80, 40000});
  }
  void state(uint32_t before, uint32_t after, Rule why) {
    tracer.emit(EventKind::tcp_state_updated, why, 1, now, {before, after});
  }
  Tracer tracer;
  Time now{};
};

TEST(Dialogue, AHandshakeReadsAsSuch) {
  Lines out;
  Dialogue dialogue(out.sink(), {});
  Speaker client(dialogue.host("client"));
  client.state(0, 2, Rule::tcp_active_open);
  client.sent(0, 0, 0, 2, 2, Rule::tcp_active_open);
  client.now = Time{40ms};
  client.received(0, 1, 0, 0x12, 2);
  client.state(2, 4, Rule::tcp_syn_acked);
  client.sent(1, 1, 0, 0x10, 4, Rule::tcp_ack_now);
  dialogue.finish();
  EXPECT_EQ(out.text(),
            "   0.000000 client |SYN 0 win 65535 40000>80 -->                          | CLOSED -> SYN-SENT          "
            "the application connects (RFC 9293 §3.10.1)\n"
            "   0.040000 client |SYN,ACK 0 ack 1 win 65535 80>40000 <--                | SYN-SENT -> ESTABLISHED     "
            "the peer answered our SYN (RFC 9293 §3.10.7.3)\n"
            "   0.040000 client |ACK 1 ack 1 win 65535 -->                             | ESTABLISHED                 "
            "a gap appeared or closed, so the sender must know at once (RFC 5681 §4.2)\n");
}

TEST(Dialogue, TheSecondHostStandsOnTheRightAndALossOnTheLineOfItsPacket) {
  Lines out;
  Dialogue dialogue(out.sink(), {});
  Speaker client(dialogue.host("client"));
  Speaker server(dialogue.host("server"));
  server.sent(1, 78, 1460, 0x10, 4, Rule::tcp_new_data);
  Tracer link;
  link.set_sink(&dialogue.link());
  link.begin_input(1);  // the server's event
  link.emit(EventKind::sim_lost, Rule::sim_impairment, 0, Time{}, {1500, 7});
  dialogue.finish();
  EXPECT_EQ(out.text(),
            "   0.000000        | x-- ACK 1:1461 (1460) ack 78 win 65535 40000>80, lost| server ESTABLISHED          "
            "       "
            "there is data, and both windows allow it (RFC 9293 §3.10.2)\n");
}

TEST(Dialogue, ADroppedSegmentSaysWhy) {
  Lines out;
  Dialogue dialogue(out.sink(), {});
  Speaker client(dialogue.host("client"));
  client.received(99999, 1, 5, 0x18, 4);
  client.tracer.emit(EventKind::tcp_packet_dropped, Rule::tcp_sequence, 1, Time{},
                     {99999, 1, 5, 0x18, static_cast<uint32_t>(Counter::tcp_drop_unacceptable), 4, 80, 40000});
  client.tracer.emit(EventKind::tcp_packet_dropped, Rule::tcp_no_connection, 0, Time{},
                     {5, 6, 0, 0x10, static_cast<uint32_t>(Counter::tcp_drop_no_connection), 0, 81, 40000});
  dialogue.finish();
  ASSERT_EQ(out.lines.size(), 2u) << "one line for the segment and its end";
  EXPECT_THAT(out.lines[0], HasSubstr("dropped: sequence number outside the window"));
  EXPECT_THAT(out.lines[0], HasSubstr("the segment lies outside the receive window (RFC 9293 §3.10.7.4 first)"));
  EXPECT_THAT(out.lines[1], HasSubstr("ACK 5 ack 6 81>40000, dropped: segment that belongs to no connection"));
}

TEST(Dialogue, RunsAreFoldedButNotBesideARetransmission) {
  Lines out;
  Dialogue dialogue(out.sink(), {});
  Speaker server(dialogue.host("server"));
  for (uint32_t i = 0; i < 14; ++i) {
    server.now += 1ms;
    server.sent(1 + i * 1000, 1, 1000, 0x10, 4, Rule::tcp_new_data);
  }
  server.sent(1, 1, 1000, 0x10, 4, Rule::tcp_fast_retransmit, true);
  for (uint32_t i = 14; i < 24; ++i) server.sent(1 + i * 1000, 1, 1000, 0x10, 4, Rule::tcp_new_data);
  dialogue.finish();
  ASSERT_EQ(out.lines.size(), 7u) << out.text();
  EXPECT_THAT(out.lines[0], HasSubstr("… 12 segments, 12000 bytes, 1:12001"));
  EXPECT_THAT(out.lines[0], HasSubstr("until 0.012000"));
  EXPECT_THAT(out.lines[1], HasSubstr("12001:13001"));
  EXPECT_THAT(out.lines[2], HasSubstr("13001:14001"));
  EXPECT_THAT(out.lines[3], AllOf(HasSubstr("1:1001 (1000)"), HasSubstr(" again "), HasSubstr("three duplicate ACKs")));
  EXPECT_THAT(out.lines[4], HasSubstr("14001:15001"));
  EXPECT_THAT(out.lines[6], HasSubstr("… 8 segments, 8000 bytes, 16001:24001"));
}

TEST(Dialogue, OtherProtocolsHaveLinesToo) {
  Lines out;
  Dialogue dialogue(out.sink(), {});
  Speaker host(dialogue.host("host"));
  host.tracer.emit(EventKind::icmp_received, Rule::none, 0, Time{}, {8, 0, 0x0a4d0001, 64});
  host.tracer.emit(EventKind::icmp_sent, Rule::icmp_echo_reply, 0, Time{}, {0, 0, 0x0a4d0001, 64});
  host.tracer.emit(EventKind::udp_dropped, Rule::udp_drop, 0, Time{},
                   {0x0a4d0001, 5000, 7, 3, static_cast<uint32_t>(Counter::udp_drop_no_port)});
  dialogue.finish();
  ASSERT_EQ(out.lines.size(), 3u);
  EXPECT_THAT(out.lines[0], HasSubstr("icmp type 8 code 0 10.77.0.1 len 64 <--"));
  EXPECT_THAT(out.lines[1], AllOf(HasSubstr("-->"), HasSubstr("every host answers echo requests (RFC 1122 §3.2.2.6)")));
  EXPECT_THAT(out.lines[2], HasSubstr("dropped: nobody is bound to the port"));
}

TEST(Dialogue, ColoursOnlyWhenAsked) {
  Lines plain;
  Lines coloured;
  for (auto* lines : {&plain, &coloured}) {
    Dialogue dialogue(lines->sink(), {.colour = lines == &coloured});
    Speaker(dialogue.host("a")).sent(1, 1, 10, 0x18, 4, Rule::tcp_retransmit_timeout, true);
  }
  EXPECT_THAT(plain.text(), Not(HasSubstr("\033")));
  EXPECT_THAT(coloured.text(), HasSubstr("\033[33m"));
}

// --- two real stacks
// -----------------------------------------------------------------------------------------------------

struct NobodyWaits : ReadySink {
  void raise(SocketId, ReadyEvents) override {}
};

// A client fetches `size` bytes from a server 40 ms away.
class Download {
 public:
  Download(uint64_t seed, const SimImpairments& path, Dialogue& dialogue, const SimNet::Decorate& decorate = {})
      : net(seed), trace(dialogue.link()) {
    client = net.add_host("client", {}, nobody);
    server = net.add_host("server", {}, nobody);
    const auto link = net.connect(client, IpAddress::v4(10, 0, 0, 1), server, kServer.address,
                                  SimLinkConfig::symmetric(path), 24, decorate);
    net.link(link).add_observer(&trace);
    tee[0].add(dialogue.host("client"));
    tee[1].add(dialogue.host("server"));
  }

  size_t run(size_t size) {
    for (SimNet::HostId h : {client, server}) net.set_trace_sink(h, &tee[h]);
    Stack& s = net.stack(server);
    Stack& c = net.stack(client);
    const SocketId listener = s.tcp_listen(*s.tcp_bind(kServer, {}, net.now()), 8, {}, net.now()).value();
    const SocketId ours = c.tcp_connect(kServer, {}, {}, net.now()).value();
    const std::vector<std::byte> file(size, std::byte{'x'});
    std::vector<std::byte> buffer(65536);
    SocketId theirs;
    size_t offset = 0;
    size_t received = 0;
    bool asked = false;
    bool answered = false;
    bool closed = false;
    while (net.step(Time{120s})) {
      if (!asked && c.tcp_status(ours)->state == TcpState::established) {
        const std::vector<std::byte> request(77, std::byte{'?'});
        asked = c.tcp_send(ours, request, {}, net.now()).has_value();
      }
      if (!theirs) theirs = s.tcp_accept(listener, net.now()).value_or(SocketId{});
      if (theirs && !answered) {
        const auto n = s.tcp_receive(theirs, buffer, {}, net.now());
        answered = n && *n > 0;
      }
      if (answered && offset < size)
        offset += s.tcp_send(theirs, ByteSpan(file).subspan(offset), {}, net.now()).value_or(0);
      if (offset == size && theirs && answered && !closed) {
        s.tcp_close(theirs, net.now());
        closed = true;
      }
      if (received == kDone) continue;
      const auto n = c.tcp_receive(ours, buffer, {}, net.now());
      if (!n) continue;
      total += *n;
      if (*n > 0) continue;
      received = kDone;
      c.tcp_close(ours, net.now());
    }
    return total;
  }

  static constexpr size_t kDone = SIZE_MAX;
  static constexpr Endpoint kServer{IpAddress::v4(10, 0, 0, 2), 80};
  NobodyWaits nobody;
  SimNet net;
  SimLinkTrace trace;
  SimNet::HostId client = 0;
  SimNet::HostId server = 0;
  TraceTee tee[2];
  size_t total = 0;
};

TEST(Dialogue, ADownloadUnderLossFitsOnAFewPages) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    Lines out;
    {
      Dialogue dialogue(out.sink(), {});
      Download download(seed, {.delay = 20ms, .rate = 20'000'000, .loss_ppm = 10'000}, dialogue);
      ASSERT_EQ(download.run(65536), 65536u);
    }
    if (std::getenv("LIMPID_SHOW") != nullptr) std::printf("%s\n", out.text().c_str());
    EXPECT_LE(out.lines.size(), 150u) << out.text();
    EXPECT_THAT(out.lines.front(), HasSubstr("CLOSED -> SYN-SENT"));
    EXPECT_THAT(out.lines, Contains(HasSubstr("SYN-SENT -> ESTABLISHED")));
    EXPECT_THAT(out.lines, Contains(AllOf(HasSubstr("FIN"), HasSubstr("ESTABLISHED -> FIN-WAIT-1"))));
    EXPECT_THAT(out.lines, Contains(HasSubstr("-> TIME-WAIT")));
    // In TIME-WAIT what a FIN is answered with says it all.
    EXPECT_THAT(out.lines, Not(Contains(AllOf(HasSubstr("a segment arrived"), Not(HasSubstr("TIME-WAIT"))))))
        << "each segment has a better reason";
  }
}

// The same download, captured at both ends into one file, as stock tshark reads it.
TEST(Capture, ADownloadUnderLossExplainsItself) {
  if (std::system("command -v tshark > /dev/null") != 0) GTEST_SKIP() << "tshark is not installed";
  const std::string path = ::testing::TempDir() + "limpid-download-" + std::to_string(::getpid()) + ".pcapng";
  Lines out;
  {
    Dialogue dialogue(out.sink(), {});
    PcapngWriter writer(path, {});
    std::vector<std::unique_ptr<PcapngDevice>> captures;
    // Seed 1 loses a data segment and an ACK.
    Download download(1, {.delay = 20ms, .rate = 20'000'000, .loss_ppm = 10'000}, dialogue,
                      [&](SimNet::HostId host, Device& end) -> Device& {
                        const PcapngCapture capture{.host = host == 0 ? "client" : "server"};
                        return *captures.emplace_back(std::make_unique<PcapngDevice>(end, writer, capture));
                      });
    for (size_t h = 0; h < captures.size(); ++h) download.tee[h].add(*captures[h]);
    ASSERT_EQ(download.run(65536), 65536u);
  }
  const auto count = [&](const std::string& filter) {
    const std::string command = "timeout 30 tshark -n -r " + path + " -Y '" + filter + "' 2>/dev/null | wc -l";
    std::FILE* pipe = ::popen(command.c_str(), "r");
    int n = -1;
    if (std::fscanf(pipe, "%d", &n) != 1) n = -1;
    ::pclose(pipe);
    return n;
  };
  EXPECT_EQ(count("_ws.malformed"), 0);
  EXPECT_EQ(count("tcp && !frame.comment"), 0) << "no packet without its reason";
  EXPECT_GE(count("frame.interface_id == 1 && tcp.len > 0 && frame.comment contains \"recovery.\""), 1);
  EXPECT_EQ(count("tcp && frame.comment contains \"SYN-SENT new ESTABLISHED\""), 1);
  EXPECT_GE(count("systemd_journal.code_file contains \"stack/tcp/\""), 4);
  EXPECT_EQ(count("frame.time_delta < -0.000001"), 0) << "in the order of time; the journal has microseconds only";
  std::remove(path.c_str());
}

}  // namespace
}  // namespace limpid
