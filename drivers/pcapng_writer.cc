#include "drivers/pcapng_writer.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <iterator>

#include "stack/base/rule_sites.h"
#include "stack/base/trace_text.h"

namespace limpid {
namespace {

// draft-ietf-opsawg-pcapng, sections 4.1 to 4.3 and 4.7, and the block types of its registry.
constexpr uint32_t kSectionHeader = 0x0a0d0d0a;
constexpr uint32_t kInterfaceDescription = 1;
constexpr uint32_t kEnhancedPacket = 6;
constexpr uint32_t kJournalExport = 9;
constexpr uint16_t kLinkRaw = 101, kLinkEthernet = 1;
constexpr uint16_t kOptEnd = 0, kOptComment = 1;
constexpr uint16_t kShbUserApplication = 4;
constexpr uint16_t kIfName = 2, kIfDescription = 3, kIfTimeResolution = 9;
constexpr uint16_t kEpbFlags = 2, kEpbPacketId = 5;
constexpr uint32_t kWholeFrames = 262'144;  // the largest that readers take
constexpr size_t kMaxOption = 65'535;
constexpr size_t kFileBuffer = 1 << 20;

bool is_bad_news(EventKind kind) {
  switch (kind) {
    case EventKind::tcp_timer_expired:
    case EventKind::recovery_packet_lost:
    case EventKind::recovery_congestion_state_updated:
    case EventKind::tcp_packet_dropped:
    case EventKind::tcp_invariant_failed:
    case EventKind::sim_lost:
      return true;
    default:
      return false;
  }
}

}  // namespace

PcapngWriter::PcapngWriter(const std::string& path, const PcapngOptions& options)
    : options_(options), file_(std::fopen(path.c_str(), "wbe")) {
  if (file_ == nullptr)
    throw DeviceError(errno, fmt::format("{}: {}", path, errno_text(errno)),
                      "name a file in a folder that you may write to");
  std::setvbuf(file_, nullptr, _IOFBF, kFileBuffer);
  begin_block(kSectionHeader);
  put(uint32_t{0x1a2b3c4d});  // tells the reader our byte order
  put(uint16_t{1});
  put(uint16_t{0});
  put(int64_t{-1});  // length of the section: not known
  option(kShbUserApplication, "Limpid");
  end_options();
  end_block(Time{});
}

PcapngWriter::~PcapngWriter() { std::fclose(file_); }

uint32_t PcapngWriter::add_interface(const std::string& name, const std::string& description, bool ethernet) {
  begin_block(kInterfaceDescription);
  put(ethernet ? kLinkEthernet : kLinkRaw);
  put(uint16_t{0});
  put(options_.snap_length == 0 ? kWholeFrames : options_.snap_length);
  option(kIfName, name);
  if (!description.empty()) option(kIfDescription, description);
  const uint8_t nanoseconds = 9;
  option(kIfTimeResolution, &nanoseconds, 1);
  end_options();
  end_block(Time{});
  return interfaces_++;
}

void PcapngWriter::packet(const PcapngPacket& p) {
  const auto stamp = static_cast<uint64_t>(options_.epoch_ns + p.time.time_since_epoch().count());
  begin_block(kEnhancedPacket);
  put(p.interface);
  put(static_cast<uint32_t>(stamp >> 32));
  put(static_cast<uint32_t>(stamp));
  put(static_cast<uint32_t>(p.bytes.size()));
  put(p.length);
  put(p.bytes.data(), p.bytes.size());
  pad();
  if (!p.comment.empty()) option(kOptComment, p.comment.substr(0, kMaxOption));
  const uint32_t direction = p.inbound ? 1 : 2;
  option(kEpbFlags, &direction, sizeof direction);
  if (p.event != 0) option(kEpbPacketId, &p.event, sizeof p.event);
  end_options();
  end_block(p.time);
}

// The fields that journalctl and Wireshark know, and ours, in the journal's export format: KEY=value lines.
void PcapngWriter::journal(std::string_view host, const Event& e) {
  const int64_t monotonic = to_us(e.time.time_since_epoch());
  const RuleInfo& rule = info(e.rule);
  const RuleSite where = site(e.rule);
  std::string text;
  const auto add = [&text](std::string_view key, const auto& value) {
    fmt::format_to(std::back_inserter(text), "{}={}\n", key, value);
  };
  add("__REALTIME_TIMESTAMP", options_.epoch_ns / 1000 + monotonic);
  add("__MONOTONIC_TIMESTAMP", monotonic);
  add("MESSAGE", describe(e));
  add("PRIORITY", is_bad_news(e.kind) ? 4 : 6);  // warning, informational
  add("SYSLOG_IDENTIFIER", "limpid");
  if (!host.empty()) add("_HOSTNAME", host);
  if (!where.file.empty()) {
    add("CODE_FILE", where.file);
    add("CODE_LINE", where.line);
  }
  add("LIMPID_EVENT", e.number);
  add("LIMPID_KIND", kEventKindInfo[static_cast<size_t>(e.kind)].name);
  if (e.connection != 0) add("LIMPID_CONNECTION", e.connection);
  if (e.cause != 0) add("LIMPID_CAUSE", e.cause);
  if (e.rule != Rule::none) add("LIMPID_RULE", rule.name);
  if (!rule.clause.empty()) add("LIMPID_CLAUSE", rule.clause);

  begin_block(kJournalExport);
  put(text.data(), text.size());
  pad();
  end_block(e.time);
}

void PcapngWriter::flush() {
  if (std::fflush(file_) != 0) failed_ = true;
}

void PcapngWriter::begin_block(uint32_t type) {
  block_.clear();
  put(type);
  put(uint32_t{0});  // total length: known at the end
}

void PcapngWriter::put(const void* bytes, size_t n) {
  const auto* from = static_cast<const char*>(bytes);
  block_.insert(block_.end(), from, from + n);
}

void PcapngWriter::pad() { block_.resize((block_.size() + 3) / 4 * 4, '\0'); }

void PcapngWriter::option(uint16_t code, const void* bytes, size_t n) {
  put(code);
  put(static_cast<uint16_t>(n));
  put(bytes, n);
  pad();
}

void PcapngWriter::end_options() {
  put(kOptEnd);
  put(uint16_t{0});
}

void PcapngWriter::end_block(Time now) {
  const auto length = static_cast<uint32_t>(block_.size() + 4);
  put(length);
  std::memcpy(block_.data() + 4, &length, sizeof length);
  if (failed_) return;
  if (std::fwrite(block_.data(), 1, block_.size(), file_) != block_.size()) failed_ = true;
  if (now - flushed_ < 1s) return;  // a process that is killed loses a second, no more
  flushed_ = now;
  if (std::fflush(file_) != 0) failed_ = true;
}

}  // namespace limpid
