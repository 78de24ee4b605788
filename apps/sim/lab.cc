#include "apps/sim/lab.h"

#include <fmt/core.h>

#include <array>
#include <cstdlib>
#include <map>
#include <memory>
#include <vector>

#include "apps/common/app.h"
#include "apps/common/clock.h"
#include "apps/common/sha256.h"
#include "apps/common/thread.h"
#include "apps/httpd/site.h"
#include "drivers/pcapng.h"
#include "stack/runtime/sim_world.h"
#include "stack/socket/host.h"
#include "stack/wire/tcp.h"

namespace limpid::apps {
namespace {

// A text file in memory, for what a program in the lab says.
class Words {
 public:
  Words() : file_(open_memstream(&text_, &size_)) {}
  Words(const Words&) = delete;
  Words& operator=(const Words&) = delete;
  ~Words() {
    std::fclose(file_);
    std::free(text_);
  }
  std::FILE* file() { return file_; }
  std::string text() {
    std::fflush(file_);
    return {text_, size_};
  }

 private:
  char* text_ = nullptr;
  size_t size_ = 0;
  std::FILE* file_;
};

// What the segments were that the link lost: it names the sender's event, which says so.
class LossCounter final : public SimLinkObserver {
 public:
  explicit LossCounter(LabResult& result) : result_(result) {}

  class Sender final : public TraceSink {
   public:
    explicit Sender(LabResult& result) : result_(result) {}
    void event(const Event& e) override {
      if (e.kind != EventKind::tcp_packet_sent) return;
      const bool again = e.words[6] != 0;
      if (again) ++result_.retransmitted;
      const bool bare_ack = e.words[2] == 0 && e.words[3] == tcp_flag::ack;
      sent_[e.number] = again ? Sort::again : e.words[2] > 0 ? Sort::data : bare_ack ? Sort::ack : Sort::control;
    }

   private:
    friend class LossCounter;
    enum class Sort : uint8_t { data, ack, control, again };
    LabResult& result_;
    std::map<EventNumber, Sort> sent_;
  };

  TraceSink& sender(uint32_t direction) { return senders_[direction]; }
  void delivered(uint32_t, ByteSpan, Time) override {}
  void incident(const SimIncident& incident, Time) override {
    if (incident.kind != EventKind::sim_lost && incident.kind != EventKind::sim_queue_full) return;
    const auto& sent = senders_[incident.direction].sent_;
    const auto found = sent.find(incident.event);
    if (found == sent.end()) return;
    switch (found->second) {
      case Sender::Sort::data:
        ++result_.lost_data;
        break;
      case Sender::Sort::ack:
        ++result_.lost_acks;
        break;
      case Sender::Sort::control:
        ++result_.lost_control;
        break;
      case Sender::Sort::again:
        ++result_.lost_again;
        break;
    }
  }

 private:
  LabResult& result_;
  std::array<Sender, 2> senders_{Sender(result_), Sender(result_)};
};

SimLinkConfig link_config(const LabOptions& options) {
  SimImpairments both;
  both.delay = Duration(static_cast<int64_t>(options.delay_ms * 1e6));
  both.rate = static_cast<uint64_t>(options.rate_mbit * 1e6);
  both.loss_ppm = static_cast<uint32_t>(options.loss_percent * 1e4);
  return SimLinkConfig::symmetric(both);
}

std::string expected_sum(uint64_t size) {
  Sha256 sum;
  std::vector<std::byte> piece(64 * 1024);
  for (uint64_t offset = 0; offset < size; offset += piece.size()) {
    const auto part = std::span(piece).first(static_cast<size_t>(std::min<uint64_t>(piece.size(), size - offset)));
    fill_generated(offset, part);
    sum.update(part);
  }
  return sum.hex();
}

// Two hosts, each with its end of the link, captured if asked for.
class Lab {
 public:
  Lab(const LabOptions& options, Dialogue* dialogue, LabResult& result)
      : options_(options),
        result_(result),
        net_(options.seed, SimHash::frames_and_events),
        world_(net_, options.seed),
        client_machine_(world_.add_machine("client", {})),
        server_machine_(world_.add_machine("server", {})),
        losses_(result) {
    if (!options.pcapng.empty()) writer_ = std::make_unique<PcapngWriter>(options.pcapng, PcapngOptions{});
    const auto link = net_.connect(client_machine_.host_id(), IpAddress::v4(0x0a000001), server_machine_.host_id(),
                                   IpAddress::v4(0x0a000002), link_config(options), 24,
                                   [this](SimNet::HostId host, Device& end) -> Device& { return captured(host, end); });
    net_.link(link).add_observer(&losses_);
    for (const SimNet::HostId host : {client_machine_.host_id(), server_machine_.host_id()}) {
      tees_[host].add(losses_.sender(static_cast<uint32_t>(host)));
      if (dialogue != nullptr) tees_[host].add(dialogue->host(net_.name(host)));
      net_.set_trace_sink(host, &tees_[host]);
    }
    if (dialogue != nullptr) net_.link(link).add_observer(&link_trace_.emplace(dialogue->link()));
  }

  void run() {
    Host client(world_, client_machine_);
    Host server(world_, server_machine_);
    const bool ended = world_.run([&] { download(client, server); });
    if (!ended) result_.complaint += "nothing could happen any more, and the download had not ended\n";
    result_.hash = net_.hash();
    result_.frames = net_.frames_delivered();
  }

 private:
  Device& captured(SimNet::HostId host, Device& end) {
    if (writer_ == nullptr) return end;
    captures_.push_back(std::make_unique<PcapngDevice>(end, *writer_, PcapngCapture{.host = net_.name(host)}));
    tees_[host].add(*captures_.back());
    return *captures_.back();
  }

  // Runs in a thread of the simulated world, as do the programs.
  void download(Host& client, Host& server) {
    Words server_said;
    Context at_server{.out = server_said.file(), .err = server_said.file()};
    Host::use(&server);
    Thread httpd(lp_limpid_calls, [&] { run_app(*find_app("httpd"), {"--generate", "."}, at_server); });

    Words out, err;
    Context at_client{.out = out.file(), .err = err.file()};
    Host::use(&client);
    sleep_for(lp_limpid_calls, std::chrono::milliseconds(1));  // the server listens
    const Nanoseconds start = now(lp_limpid_calls);
    const Arguments arguments = {"--timeout", "0", "--sha256", fmt::format("http://10.0.0.2/bytes/{}", options_.size)};
    const int status = run_app(*find_app("fetch"), arguments, at_client);
    result_.seconds = seconds(now(lp_limpid_calls) - start);
    result_.right = status == 0 && out.text().starts_with(expected_sum(options_.size));
    if (!result_.right) result_.complaint = err.text() + out.text() + server_said.text();

    client.drain(Duration(std::chrono::seconds(10)));      // our FIN is acknowledged
    sleep_for(lp_limpid_calls, std::chrono::seconds(10));  // and the server's, however often it must be sent
    world_.stop();
    httpd.join();
    Host::use(nullptr);
  }

  const LabOptions& options_;
  LabResult& result_;
  std::unique_ptr<PcapngWriter> writer_;
  std::vector<std::unique_ptr<PcapngDevice>> captures_;  // the net refers to them
  std::array<TraceTee, 2> tees_;
  SimNet net_;
  SimWorld world_;
  SimMachine& client_machine_;
  SimMachine& server_machine_;
  LossCounter losses_;
  std::optional<SimLinkTrace> link_trace_;
};

}  // namespace

LabResult run_lab(const LabOptions& options, Dialogue* dialogue) {
  LabResult result;
  Lab(options, dialogue, result).run();
  if (dialogue != nullptr) dialogue->finish();
  return result;
}

}  // namespace limpid::apps
