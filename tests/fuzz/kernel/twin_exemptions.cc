#include "tests/fuzz/kernel/twin_exemptions.h"

#include <algorithm>

namespace limpid::twin {
namespace {

bool before(uint32_t a, uint32_t b) { return static_cast<int32_t>(a - b) < 0; }
bool is_segment(const Look& l) { return l.step.kind == CaseStep::Kind::segment; }
bool has(const Look& l, uint8_t flag) { return (l.step.flags & flag) != 0; }
uint32_t length_of(const CaseStep& s) {
  return s.length + ((s.flags & tcp_flag::syn) != 0 ? 1U : 0U) + ((s.flags & tcp_flag::fin) != 0 ? 1U : 0U);
}
// The user holds the connection itself, not only its listener or what is left of it.
bool holds(const Look& l) {
  return l.state_before != "-" && l.state_before != "CLOSED" && l.state_before != "TIME-WAIT";
}
bool in_syn_received(const Look& l) { return l.c.client ? l.state_before == "SYN-RECEIVED" : !holds(l); }
bool called(const Look& l, Call call) {
  return std::ranges::any_of(l.c.steps.begin(), l.c.steps.begin() + static_cast<ptrdiff_t>(l.index),
                             [&](const CaseStep& s) { return s.kind == CaseStep::Kind::call && s.call == call; });
}
bool shut_both(const Look& l) { return called(l, Call::shutdown_read) && called(l, Call::shutdown_write); }
// Both sides' SYNs crossed.
bool crossed(const Look& l) {
  return l.c.client && std::ranges::any_of(l.c.steps.begin(), l.c.steps.begin() + static_cast<ptrdiff_t>(l.index),
                                           [](const CaseStep& s) {
                                             return s.kind == CaseStep::Kind::segment &&
                                                    (s.flags & tcp_flag::syn) != 0 && (s.flags & tcp_flag::ack) == 0;
                                           });
}
bool fin_came(const Look& l) {
  return std::ranges::any_of(
      l.c.steps.begin(), l.c.steps.begin() + static_cast<ptrdiff_t>(l.index),
      [](const CaseStep& s) { return s.kind == CaseStep::Kind::segment && (s.flags & tcp_flag::fin) != 0; });
}
// Our side may take the ACK of a segment that is old, or one octet beyond the window (docs/deviations.md): what follows
// hangs on it.
bool may_bring_news(const CaseStep& s, const Observation& o) {
  if (s.kind != CaseStep::Kind::segment || (s.flags & tcp_flag::ack) == 0) return false;
  if ((s.flags & (tcp_flag::rst | tcp_flag::syn)) != 0) return false;
  if (o.sent.sent_end == 0 || o.sent.ack > o.sent.sent_end) return false;
  const bool news = o.sent.ack > o.sent.una || o.sent.window_shut || s.window == 0;
  const bool begins_old = before(o.sent.seq, o.sent.acked);
  return (begins_old && news) || (!before(o.sent.seq, o.sent.edge) && !before(o.sent.edge + 1, o.sent.seq));
}
// Text or FIN that may lie in the window: its ACK may be delayed.
bool may_wait(const Look& l) {
  return is_segment(l) && (l.step.length > 0 || has(l, tcp_flag::fin)) && has(l, tcp_flag::ack) &&
         !has(l, tcp_flag::syn | tcp_flag::rst);
}

constexpr Exemption kExemptions[] = {
    {"delayed ACK", "RFC 9293 §3.8.6.3: when text or FIN is acknowledged is the receiver's choice; a probe asks",
     Effect::none,
     [](const Look& l) {
       if (l.what == "ack") return l.step.kind != CaseStep::Kind::probe || !l.kernels.answered;
       if (l.what != "answered") return false;
       return may_wait(l) || l.kernels.was_acked != l.ours.was_acked || l.kernels.was_acked != l.kernels.ack;
     }},
    {"TIME-WAIT", "Linux takes TIME-WAIT out of the socket that its user still holds, and shows it as closed",
     Effect::none,
     [](const Look& l) { return l.what == "state" && l.ours.state == "TIME-WAIT" && l.kernels.state == "CLOSED"; }},
    {"across the edge",
     "RFC 9293 §3.10.7.4, first: what reaches beyond the window is trimmed; Linux (6.17) drops all of it",
     Effect::parts,
     [](const Look& l) {
       const uint32_t end = l.kernels.sent.seq + length_of(l.step);
       return is_segment(l) && l.kernels.sent.edge != 0 && !before(l.kernels.sent.edge, l.kernels.sent.seq) &&
              before(l.kernels.sent.edge, end);
     }},
    {"text on a SYN,ACK",
     "RFC 9293 §3.10.7.3 takes it; Linux does so with Fast Open only, and waits for it to come again", Effect::ends,
     [](const Look& l) {
       return is_segment(l) && has(l, tcp_flag::syn) && length_of(l.step) > 1 && l.state_before == "SYN-SENT";
     }},
    {"options of a simultaneous open",
     "RFC 7323 §2.2, 2018 §2: a SYN,ACK has the options that the SYN had; Linux repeats "
     "those of its own SYN",
     Effect::none,
     [](const Look& l) { return l.what == "SYN" && l.c.client && has(l, tcp_flag::syn) && !has(l, tcp_flag::ack); }},
    {"ACK before sequence in SYN-RECEIVED",
     "RFC 9293 §3.10.7.4: first the sequence number, then the ACK; Linux's "
     "listener looks at the ACK first, and sends a RST",
     Effect::ends,
     [](const Look& l) {
       return l.what == "RST" && is_segment(l) && in_syn_received(l) && has(l, tcp_flag::ack) && l.ours.answered;
     }},
    {"text behind the FIN",
     "RFC 9293 §3.10.7.4, seventh: ignore it; Linux answers with a RST, or takes it where the "
     "segment begins before the FIN",
     Effect::parts,
     [](const Look& l) {
       const uint32_t end = l.kernels.sent.seq + length_of(l.step);
       if (!is_segment(l) || !fin_came(l) || !before(l.ours.sent.acked, end)) return false;
       return !l.kernels.resets.empty() || before(l.kernels.sent.seq, l.ours.sent.acked);
     }},
    {"text after SHUT_RD and SHUT_WR",
     "Linux takes both together for a close, and text then draws a RST (RFC 9293 §3.6.1)", Effect::ends,
     [](const Look& l) { return l.what == "RST" && is_segment(l) && shut_both(l) && !l.kernels.resets.empty(); }},
    {"refused in SYN-RECEIVED",
     "RFC 9293 §3.10.7.4, second: after an active OPEN the connection was refused; Linux says "
     "reset",
     Effect::ends, [](const Look& l) { return l.ours.result == "ECONNREFUSED" && l.kernels.result == "ECONNRESET"; }},
    {"RST behind SACKed text",
     "RFC 5961 §3.2: exactly RCV.NXT; Linux takes a RST behind the highest text out of order too", Effect::ends,
     [](const Look& l) {
       return is_segment(l) && l.c.sack && has(l, tcp_flag::rst) && l.ours.answered && !l.kernels.answered;
     }},
    {"old SYN in TIME-WAIT",
     "RFC 6191 §2: silence, where timestamps were in use; Linux sends an ACK (docs/deviations.md)", Effect::none,
     [](const Look& l) {
       return l.what == "answered" && is_segment(l) && l.c.stamps && has(l, tcp_flag::syn) && !holds(l) &&
              l.kernels.answered;
     }},
    {"echoes in SYN-RECEIVED", "Linux (6.15) takes there only what echoes a SYN,ACK, not what echoes an ACK between",
     Effect::ends,
     [](const Look& l) {
       return l.step.kind != CaseStep::Kind::call && !l.c.client && l.c.stamps && !holds(l) && l.kernels.answered &&
              l.kernels.resets.empty();
     }},
    {"SYN,FIN in TIME-WAIT",
     "RFC 9293 §3.10.7.4 lets a SYN open the connection anew, or not; Linux lets go of the old "
     "one and then drops this SYN for its FIN",
     Effect::parts,
     [](const Look& l) { return is_segment(l) && has(l, tcp_flag::syn) && has(l, tcp_flag::fin) && !holds(l); }},
    {"old ACK with an old timestamp",
     "RFC 7323 §5.3, R1: it is answered; Linux (6.13) is silent to a pure ACK whose number "
     "is old too",
     Effect::none,
     [](const Look& l) {
       return l.what == "answered" && l.step.kind != CaseStep::Kind::call && l.c.stamps && l.ours.answered &&
              length_of(l.step) == 0;
     }},
    {"ACK of the SYN's own number",
     "RFC 5961 §5.2: the ISN was never acknowledged by anybody; Linux counts the SYN of an "
     "active open as an octet sent before it",
     Effect::parts,
     [](const Look& l) { return is_segment(l) && l.c.client && has(l, tcp_flag::ack) && l.kernels.sent.ack == 0; }},
    {"shutdown in SYN-SENT",
     "RFC 9293 §3.10.4 deletes the connection; Linux undoes the socket's connect with ECONNRESET", Effect::ends,
     [](const Look& l) {
       return l.step.kind == CaseStep::Kind::call && l.state_before == "SYN-SENT" &&
              (l.step.call == Call::shutdown_write || l.step.call == Call::shutdown_read);
     }},
    {"no ACK flag",
     "RFC 9293 §3.10.7.4, first: an unacceptable segment is answered, whatever its flags; Linux drops "
     "what has neither ACK, RST nor SYN before it looks at the numbers",
     Effect::ends,
     [](const Look& l) {
       return is_segment(l) && !has(l, tcp_flag::ack | tcp_flag::rst | tcp_flag::syn) && l.kernels.packets.empty();
     }},
    {"RST at the edge",
     "RFC 9293 §3.10.7.4, first: RCV.NXT+RCV.WND is outside the window; Linux lets it in, and "
     "challenges a RST there",
     Effect::none,
     [](const Look& l) {
       return l.what == "answered" && is_segment(l) && has(l, tcp_flag::rst) &&
              l.kernels.sent.seq == l.kernels.sent.edge;
     }},
    {"RST behind FIN",
     "RFC 5961 §3.2: a RST must be at RCV.NXT; Linux takes one at RCV.NXT-1 once the peer's FIN has "
     "come, as old Mac OS sends it",
     Effect::parts,
     [](const Look& l) {
       return is_segment(l) && has(l, tcp_flag::rst) && fin_came(l) && l.kernels.sent.seq == l.ours.ack - 1;
     }},
    {"ACK of an old segment",
     "ours takes what a segment acknowledges, and its window, if the text is old or one octet "
     "beyond the window (docs/deviations.md)",
     Effect::parts, [](const Look& l) { return is_segment(l) && may_bring_news(l.step, l.ours); }},
    {"old ACK on the fast path",
     "RFC 5961 §5.2: challenge it; Linux takes text in order whatever older octets its ACK "
     "names",
     Effect::parts,
     [](const Look& l) {
       return is_segment(l) && length_of(l.step) > 0 && l.ours.answered && has(l, tcp_flag::ack) &&
              l.ours.sent.ack - 1 >= l.ours.sent.sent_end;
     }},
    {"RST that ends at RCV.NXT", "RFC 9293 §3.10.7.4, first: it lies below the window; Linux challenges it",
     Effect::none,
     [](const Look& l) {
       return l.what == "answered" && is_segment(l) && has(l, tcp_flag::rst) &&
              l.kernels.sent.seq + length_of(l.step) == l.ours.ack;
     }},
    {"SYN in SYN-RECEIVED", "RFC 5961 §4.2: a challenge ACK (docs/deviations.md); Linux sends a RST", Effect::ends,
     [](const Look& l) {
       return l.what == "RST" && is_segment(l) && has(l, tcp_flag::syn) && !l.c.client && !holds(l) && l.ours.answered;
     }},
    {"what comes after close",
     "Linux keeps little of a connection in FIN-WAIT-2 then: a RST outside the window draws an ACK, "
     "a SYN in it a RST; so does text that is out of order, or that acknowledges what was not sent",
     Effect::parts,
     [](const Look& l) {
       if (!is_segment(l) || !called(l, Call::close) || l.state_before != "-") return false;
       return has(l, tcp_flag::rst | tcp_flag::syn) || l.what == "answered" ||
              (!l.kernels.resets.empty() && l.ours.resets.empty());
     }},
    {"connect after shutdown", "Linux calls a socket that was shut before it was connected invalid (EINVAL)",
     Effect::ends,
     [](const Look& l) {
       return l.step.kind == CaseStep::Kind::call && l.step.call == Call::connect && l.kernels.result == "EINVAL";
     }},
    {"RST in SYN-RECEIVED",
     "RFC 5961 §3.2: one that is not at RCV.NXT is challenged, and none is too old by its timestamp (RFC "
     "7323 §5.2); Linux's listener takes any RST in the window, and looks at its timestamp",
     Effect::parts,
     [](const Look& l) {
       if (!is_segment(l) || !has(l, tcp_flag::rst) || l.c.client || holds(l)) return false;
       return (l.ours.answered && !l.kernels.answered) || l.c.stamps;
     }},
    {"SYN at RCV.NXT in TIME-WAIT",
     "RFC 9293 §3.6.1: larger than any number of the old connection, which it is; Linux "
     "wants it beyond RCV.NXT",
     Effect::ends,
     [](const Look& l) {
       return is_segment(l) && has(l, tcp_flag::syn) && !holds(l) && l.kernels.sent.seq == l.ours.sent.acked &&
              !l.ours.syns.empty();
     }},
    {"SYN again in a simultaneous open",
     "RFC 9293 §3.10.7.4, first: our SYN,ACK was lost, so it goes again; Linux sends an "
     "ACK",
     Effect::ends,
     [](const Look& l) { return is_segment(l) && has(l, tcp_flag::syn) && l.state_before == "SYN-RECEIVED"; }},
    {"shutdown of no connection", "Linux notes it, though it says ENOTCONN", Effect::ends,
     [](const Look& l) {
       return l.what == "ready" && l.step.kind == CaseStep::Kind::call && l.ours.result == "ENOTCONN";
     }},
    {"edge of a simultaneous open",
     "Linux scales its window there though the peer's SYN did not say that it may, so its edge is not known",
     Effect::parts, [](const Look& l) { return is_segment(l) && l.step.seq_base == SeqBase::edge && crossed(l); }},
    {"later timestamp of an odd segment",
     "RFC 7323 §4.3: only an acceptable segment moves TS.Recent; Linux also lets one whose ACK is challenged, and not "
     "one "
     "whose ACK is old",
     Effect::parts, [](const Look& l) { return is_segment(l) && l.c.stamps && l.step.ts_offset > 0; }},
    {"SYN again", "the kernel's timer, where the machine stood still for a second", Effect::none,
     [](const Look& l) {
       return l.what == "SYN" && l.state_before == "SYN-SENT" && l.kernels.state == "SYN-SENT" && l.ours.syns.empty();
     }},
    {"close in SYN-RECEIVED", "the FIN goes when the handshake is through (docs/deviations.md)", Effect::ends,
     [](const Look& l) {
       return l.step.kind == CaseStep::Kind::call && l.state_before == "SYN-RECEIVED" && l.kernels.fin;
     }},
    {"SYN from the edge", "each side has its own window, so the new ISN is not the same on both", Effect::parts,
     [](const Look& l) {
       return is_segment(l) && has(l, tcp_flag::syn) && l.step.seq_base == SeqBase::edge && !l.kernels.syns.empty();
     }},
};

}  // namespace

const Exemption* exemption_of(const Look& look) {
  for (const Exemption& e : kExemptions)
    if (e.applies(look)) return &e;
  return nullptr;
}

const Exemption* parting_of(const Look& look) {
  for (const Exemption& e : kExemptions)
    if (e.effect == Effect::parts && e.applies(look)) return &e;
  return nullptr;
}

std::string exemptions_text() {
  std::string text;
  for (const Exemption& e : kExemptions) text += std::string(e.name) + ": " + e.reason + "\n";
  return text;
}

}  // namespace limpid::twin
