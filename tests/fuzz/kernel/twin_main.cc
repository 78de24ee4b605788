// limpid_fuzz_kernel: the kernel's TCP as a second oracle of ours, in the manner of TCP-Fuzz (Zou et al., USENIX ATC
// 2021). Each seed draws a case, a dialogue of segments and socket calls; it is played to our stack in virtual time and
// to the kernel's through a TUN device in a namespace of its own, and what both did is compared step by step.
//
//   limpid_fuzz_kernel [--seconds N] [--first SEED] [--cases N] [--save FOLDER]
//   limpid_fuzz_kernel FILE...            replays cases, and shows each as a dialogue
//   limpid_fuzz_kernel --exemptions       where the two may differ, and why
//
// Ends with 1 if any case differed, with 77 where no namespace or TUN device is to be had.
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/fuzz/kernel/twin_compare.h"
#include "tests/fuzz/kernel/twin_exemptions.h"
#include "tests/support/own_namespace.h"

namespace limpid::twin {
namespace {

constexpr size_t kSideBySide = 200;
constexpr uint16_t kFirstPort = 10'000;
constexpr size_t kMostShrinks = 300;
constexpr auto kNoTimerYet = std::chrono::milliseconds(800);  // a SYN is sent again after a second

using Seen = std::vector<Observation>;

struct Settings {
  std::chrono::seconds time{10};
  uint64_t first = 1;
  uint64_t most = UINT64_MAX;
  std::string save;
  std::vector<std::string> files;
};

class Oracle {
 public:
  Oracle() : kernel_(make_kernel_side()) {}

  // If the machine was so busy that a timer may have fired, again, and fewer side by side.
  std::vector<Seen> play_to_kernel(const std::vector<Case>& cases) {
    for (int time = 0;; ++time) {
      const auto begin = std::chrono::steady_clock::now();
      std::vector<Seen> seen = play_once(cases);
      if (std::chrono::steady_clock::now() - begin < kNoTimerYet || time == 5) return seen;
      if (cases.size() > 1) break;
    }
    const auto half = cases.begin() + static_cast<ptrdiff_t>(cases.size() / 2);
    std::vector<Seen> seen = play_to_kernel({cases.begin(), half});
    for (Seen& one : play_to_kernel({half, cases.end()})) seen.push_back(std::move(one));
    return seen;
  }
  static Seen play_to_ours(const Case& c);
  std::optional<Difference> difference(const Case& c) {
    const Seen ours = play_to_ours(c);
    return compare(c, ours, play_to_kernel({c}).front());
  }
  Case shrink(Case c);
  std::string dialogue(const Case& c) { return dialogue_of(c, play_to_ours(c), play_to_kernel({c}).front()); }

 private:
  std::vector<Seen> play_once(const std::vector<Case>& cases);
  template <class Change>
  bool try_change(Case& c, const std::string& what, Change change);

  std::unique_ptr<Side> kernel_;
  uint32_t round_ = 0;
  size_t shrinks_ = 0;
};

// Each round has a peer of its own, so that nothing that the kernel remembers of one touches another.
std::vector<Seen> Oracle::play_once(const std::vector<Case>& cases) {
  const IpAddress peer = IpAddress::v4(kSut.v4_bits() + 0x1'0000 + round_++);
  std::vector<std::unique_ptr<Player>> players;
  size_t steps = 0;
  for (const Case& c : cases) {
    const auto port = static_cast<uint16_t>(kFirstPort + players.size());
    players.push_back(std::make_unique<Player>(*kernel_, c, Place{peer, port}));
    steps = std::max(steps, c.steps.size());
  }
  const auto take = [&](ByteSpan packet) {
    if (packet.size() < 40 || load32(packet, 16) != peer.v4_bits() || load8(packet, 9) != 6) return;
    const size_t port = load16(packet, 20);
    const size_t index = port - kFirstPort - (port >= kFirstPort + kToNobody ? kToNobody : 0);
    if (index < players.size()) players[index]->take(packet);
  };
  for (size_t step = 0; step < steps; ++step) {
    for (auto& player : players)
      if (step < player->steps()) player->perform(step);
    kernel_->drain(take);
    for (auto& player : players)
      if (step < player->steps()) player->observe();
  }
  std::vector<Seen> seen;
  for (auto& player : players) {
    seen.push_back(player->observations());
    player->leave();
  }
  kernel_->drain([](ByteSpan) {});
  return seen;
}

Seen Oracle::play_to_ours(const Case& c) {
  const std::unique_ptr<Side> side = make_our_side();
  Player player(*side, c, {IpAddress::v4(10, 1, 0, 1), kFirstPort});
  for (size_t step = 0; step < player.steps(); ++step) {
    player.perform(step);
    side->drain([&](ByteSpan packet) { player.take(packet); });
    player.observe();
  }
  player.leave();
  return player.observations();
}

// Keeps a change under which the same thing still differs.
template <class Change>
bool Oracle::try_change(Case& c, const std::string& what, Change change) {
  if (++shrinks_ > kMostShrinks) return false;
  Case changed = c;
  change(changed);
  const auto left = difference(changed);
  if (!left || left->exemption != nullptr || left->what != what) return false;
  c = changed;
  return true;
}

Case Oracle::shrink(Case c) {
  const auto first = difference(c);
  if (!first) return c;
  const std::string what = first->what;
  shrinks_ = 0;
  c.steps.resize(first->step + 1);
  for (size_t i = c.steps.size(); i-- > 0;)
    try_change(c, what, [&](Case& x) { x.steps.erase(x.steps.begin() + static_cast<ptrdiff_t>(i)); });
  const auto to_default = [&](auto Case::* field, auto plain) {
    if (c.*field != plain) try_change(c, what, [&](Case& x) { x.*field = plain; });
  };
  to_default(&Case::raw, RawOptions{});
  to_default(&Case::stamps, false);
  to_default(&Case::sack, false);
  to_default(&Case::scale, std::optional<uint8_t>{});
  to_default(&Case::mss, std::optional<uint16_t>{1460});
  to_default(&Case::irs, uint32_t{1000});
  for (size_t i = 0; i < c.steps.size(); ++i) {
    const auto plainer = [&](auto CaseStep::* field, auto plain) {
      if (c.steps[i].*field != plain) try_change(c, what, [&](Case& x) { x.steps[i].*field = plain; });
    };
    plainer(&CaseStep::length, 0U);
    if (c.steps[i].length > 1) plainer(&CaseStep::length, 1U);
    plainer(&CaseStep::seq_offset, 0);
    plainer(&CaseStep::ack_offset, 0);
    plainer(&CaseStep::ts_offset, 0);
    plainer(&CaseStep::stamped, true);
    plainer(&CaseStep::raw, RawOptions{});
    plainer(&CaseStep::window, uint16_t{65'535});
  }
  return c;
}

std::string heading(const Difference& d) {
  return "step " + std::to_string(d.step) + ", " + d.what + ": ours " + d.ours + ", the kernel's " + d.kernels;
}

int replay(Oracle& oracle, const std::vector<std::string>& files) {
  int differ = 0;
  for (const std::string& file : files) {
    std::ifstream in(file);
    const Case c = parse_case({std::istreambuf_iterator<char>(in), {}});
    const auto found = oracle.difference(c);
    std::printf("%s: %s\n%s\n", file.c_str(),
                !found             ? "alike"
                : found->exemption ? found->exemption
                                   : heading(*found).c_str(),
                oracle.dialogue(c).c_str());
    differ += found && found->exemption == nullptr ? 1 : 0;
  }
  return differ > 0 ? 1 : 0;
}

class Run {
 public:
  Run(Oracle& oracle, const Settings& settings) : oracle_(oracle), settings_(settings) {}

  int run() {
    const auto begin = std::chrono::steady_clock::now();
    uint64_t seed = settings_.first;
    const uint64_t end = settings_.most > UINT64_MAX - seed ? UINT64_MAX : seed + settings_.most;
    while (seed < end && std::chrono::steady_clock::now() - begin < settings_.time && found_.size() < 30)
      seed = batch(seed, std::min<uint64_t>(end - seed, kSideBySide));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    std::printf("%llu cases, %.0f a second, %zu differ\n", static_cast<unsigned long long>(cases_),
                static_cast<double>(cases_) / took.count(), found_.size());
    for (const auto& [name, count] : exempt_) std::printf("  ended by an exemption, %s: %zu\n", name.c_str(), count);
    return found_.empty() ? 0 : 1;
  }

 private:
  uint64_t batch(uint64_t seed, uint64_t count) {
    std::vector<Case> cases;
    for (uint64_t i = 0; i < count; ++i) cases.push_back(draw_case(seed + i));
    const std::vector<Seen> kernels = oracle_.play_to_kernel(cases);
    for (size_t i = 0; i < cases.size(); ++i, ++cases_) {
      const auto found = compare(cases[i], Oracle::play_to_ours(cases[i]), kernels[i]);
      if (!found) continue;
      if (found->exemption != nullptr)
        ++exempt_[found->exemption];
      else
        report(seed + i, cases[i]);
    }
    return seed + count;
  }

  // A machine that was busy for a second may have let a timer fire: what counts happens again, by itself.
  void report(uint64_t seed, const Case& c) {
    for (int time = 0; time < 2; ++time) {
      const auto again = oracle_.difference(c);
      if (!again || again->exemption != nullptr) return;
    }
    const Case small = oracle_.shrink(c);
    const auto found = oracle_.difference(small);
    if (!found) return;
    std::string key = found->what;
    for (const CaseStep& s : small.steps) key += "\n" + text_of(s);
    if (!found_.insert(key).second) return;
    std::printf("seed %llu, %s\n%s\n", static_cast<unsigned long long>(seed), heading(*found).c_str(),
                oracle_.dialogue(small).c_str());
    std::fflush(stdout);
    if (settings_.save.empty()) return;
    std::filesystem::create_directories(settings_.save);
    std::ofstream(settings_.save + "/seed-" + std::to_string(seed)) << "# " << heading(*found) << "\n"
                                                                    << text_of(small);
  }

  Oracle& oracle_;
  const Settings& settings_;
  uint64_t cases_ = 0;
  std::set<std::string> found_;
  std::map<std::string, size_t> exempt_;
};

Settings read_settings(int argc, char** argv) {
  Settings s;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto value = [&] { return std::string(i + 1 < argc ? argv[++i] : "0"); };
    if (word == "--seconds")
      s.time = std::chrono::seconds(std::stol(value()));
    else if (word == "--first")
      s.first = std::stoull(value());
    else if (word == "--cases")
      s.most = std::stoull(value());
    else if (word == "--save")
      s.save = value();
    else
      s.files.push_back(word);
  }
  return s;
}

}  // namespace
}  // namespace limpid::twin

int main(int argc, char** argv) {
  using namespace limpid::twin;
  if (argc == 2 && std::strcmp(argv[1], "--exemptions") == 0) {
    std::fputs(exemptions_text().c_str(), stdout);
    return 0;
  }
  const Settings settings = read_settings(argc, argv);
  try {
    Oracle oracle;
    return settings.files.empty() ? Run(oracle, settings).run() : replay(oracle, settings.files);
  } catch (const limpid::test::SkipTest& skip) {
    std::printf("SKIP: %s\n", skip.reason.c_str());
    return 77;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "limpid_fuzz_kernel: %s\n", e.what());
    return 2;
  }
}
