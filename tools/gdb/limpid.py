"""Limpid in gdb: printers for what the stack is made of, and commands that know TCP.

  (gdb) source tools/gdb/limpid.py        (./limpid gdb does it for you)
  (gdb) limpid conns                      every TCP socket of the stack in sight
  (gdb) limpid conn 3                     one connection in the words of RFC 9293
  (gdb) limpid break SYN-SENT->ESTABLISHED
  (gdb) limpid break recovery.rto         stop where a rule of stack/base/rules.h sends a segment
  (gdb) limpid rules [word]

The stack keeps no global pointer to itself. `limpid conns` looks for one in the frames of all threads: the innermost object of
class Tcp, Stack or Host that some `this` names.
"""

import os
import re

import gdb
import gdb.printing

STATES = ["CLOSED", "LISTEN", "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT",
          "CLOSING", "LAST-ACK", "TIME-WAIT"]
FLAGS = [(0x02, "S"), (0x01, "F"), (0x04, "R"), (0x08, "P"), (0x20, "U"), (0x10, ".")]
NEVER = 2 ** 63 - 1


# --- values in words --------------------------------------------------------------------------------------------------


def address(value):
    family = int(value["family_"])
    octets = [int(value["bytes_"]["_M_elems"][i]) for i in range(16)]
    if family == 0:
        return "*"
    if family == 4:
        return ".".join(str(o) for o in octets[:4])
    return ":".join("%x" % (octets[i] << 8 | octets[i + 1]) for i in range(0, 16, 2))


def endpoint(value):
    return "%s:%d" % (address(value["address"]), int(value["port"]))


def nanoseconds(value):
    """Of a Duration or a Time (std::chrono)."""
    names = [f.name for f in value.type.strip_typedefs().fields()]
    return nanoseconds(value["__d"]) if "__d" in names else int(value["__r"])


def duration(ns):
    if ns == NEVER:
        return "never"
    for unit, size in (("s", 10 ** 9), ("ms", 10 ** 6), ("us", 10 ** 3)):
        if abs(ns) >= size:
            return ("%.3f" % (ns / size)).rstrip("0").rstrip(".") + " " + unit
    return "%d ns" % ns


def flags(bits):
    return "".join(letter for bit, letter in FLAGS if bits & bit) or "none"


def pos(value):
    return int(value["value"])


def state(value):
    return STATES[int(value)]


# --- printers ---------------------------------------------------------------------------------------------------------


class Printer:
    def __init__(self, value):
        self.value = value


class IpAddressPrinter(Printer):
    def to_string(self):
        return address(self.value)


class EndpointPrinter(Printer):
    def to_string(self):
        return endpoint(self.value)


class FourTuplePrinter(Printer):
    def to_string(self):
        return "%s <-> %s" % (endpoint(self.value["local"]), endpoint(self.value["remote"]))


class SeqPrinter(Printer):
    def to_string(self):
        return "seq %d" % int(self.value["value"])


class SeqPosPrinter(Printer):
    def to_string(self):
        return "@%d" % pos(self.value)


class TimePrinter(Printer):
    def to_string(self):
        ns = nanoseconds(self.value)
        return "never" if ns == NEVER else "t=%.6f s" % (ns / 1e9)


class DurationPrinter(Printer):
    def to_string(self):
        return duration(int(self.value["__r"]))


class SegmentPrinter(Printer):
    """flags from:to(length) ack window, relative to the initial sequence numbers."""

    def to_string(self):
        v = self.value
        bits = int(v["flags"])
        length = int(v["text"]["length"])
        first = pos(v["seq"])
        words = "%s %d:%d(%d)" % (flags(bits), first, first + length, length)
        if bits & 0x10:
            words += " ack %d" % pos(v["ack"])
        return words + " win %d" % int(v["wnd"])


class SegmentPlanPrinter(Printer):
    def to_string(self):
        v = self.value
        kind = str(v["kind"]).split("::")[-1]
        if kind == "none":
            return "nothing to send"
        first = pos(v["seq"])
        length = int(v["length"])
        return "%s %d:%d(%d)%s because %s" % (kind, first, first + length, length, " FIN" if v["fin"] else "", rule(int(v["why"]))[0])


class SlicePrinter(Printer):
    def to_string(self):
        return "%d octets at %d of their frame" % (int(self.value["length"]), int(self.value["begin"]))


class SliceChainPrinter(Printer):
    def to_string(self):
        more = int(self.value["more_"]["_M_extent"]["_M_extent_value"])
        first = str(self.value["first_"])
        return first if more == 0 else "%d octets: %s, and %d more slices" % (int(self.value["length"]), first, more)


class ConnectionPrinter(Printer):
    def to_string(self):
        return connection_line(self.value)


def build_printers():
    printers = gdb.printing.RegexpCollectionPrettyPrinter("limpid")
    for name, printer in (
        ("IpAddress", IpAddressPrinter), ("Endpoint", EndpointPrinter), ("FourTuple", FourTuplePrinter), ("Seq", SeqPrinter),
        ("SeqPos", SeqPosPrinter), ("Segment", SegmentPrinter), ("SegmentPlan", SegmentPlanPrinter), ("Slice", SlicePrinter),
        ("SliceChain", SliceChainPrinter),
        ("Connection", ConnectionPrinter),
    ):
        printers.add_printer(name, "^limpid::%s$" % name, printer)
    printers.add_printer("Time", r"^std::chrono::time_point<limpid::StackClock,.*>$", TimePrinter)
    printers.add_printer("Duration", r"^std::chrono::duration<(long|long int|int64_t), std::ratio<1(l|L)?, 1000000000(l|L)?> ?>$", DurationPrinter)
    return printers


# --- finding the stack ------------------------------------------------------------------------------------------------


def pointer_in(unique):
    """The pointer inside a std::unique_ptr: its only octets, whatever the library calls them."""
    pointee = unique.type.strip_typedefs().template_argument(0)
    if pointee.code == gdb.TYPE_CODE_ARRAY:
        pointee = pointee.target()
    return unique.address.cast(pointee.pointer().pointer()).dereference()


def tcp_of(value):
    """The class Tcp that this object holds, or None."""
    kind = value.type.strip_typedefs().unqualified().name or ""
    if kind == "limpid::Tcp":
        return value
    if kind == "limpid::Stack::Parts":
        return value["tcp"]
    if kind == "limpid::Stack":
        return pointer_in(value["parts_"]).dereference()["tcp"]
    if kind in ("limpid::RealMachine", "limpid::SimMachine"):
        return tcp_of(value["stack_"].referenced_value() if value["stack_"].type.code == gdb.TYPE_CODE_REF else value["stack_"])
    return None


def tcp_in_frame(frame):
    try:
        this = frame.read_var("this")
        found = tcp_of(this.dereference())
        if found is not None and not found.is_optimized_out:
            return found
    except (ValueError, RuntimeError, gdb.error):
        pass
    return None


def find_tcp():
    """In the selected frame and its callers first, then in those of the other threads."""
    selected = gdb.selected_thread()
    threads = [selected] + [t for t in gdb.selected_inferior().threads() if t != selected]
    try:
        for thread in threads:
            thread.switch()
            frame = gdb.selected_frame() if thread == selected else gdb.newest_frame()
            while frame is not None:
                found = tcp_in_frame(frame)
                if found is not None:
                    return found
                frame = frame.older()
    finally:
        selected.switch()
    raise gdb.GdbError("no stack in sight: no frame of any thread belongs to class Tcp, Stack or a machine of the runtime")


def slab(value):
    """Every live object of a Slab."""
    element = value.type.strip_typedefs().template_argument(0)
    begin = value["pages_"]["_M_impl"]["_M_start"]
    count = value["pages_"]["_M_impl"]["_M_finish"] - begin
    for page in range(int(count)):
        slots = pointer_in((begin + page).dereference())
        for i in range(64):
            slot = (slots + i).dereference()
            if slot["live"]:
                yield slot["storage"].address.cast(element.pointer()).dereference()


def paged(value):
    """Every element of a PagedArray."""
    array = value.type.strip_typedefs()
    begin = value["pages_"]["_M_impl"]["_M_start"]
    page = int(array.template_argument(1))
    for i in range(int(value["size_"])):
        yield (pointer_in((begin + i // page).dereference()) + i % page).dereference()


def connections(tcp):
    """Every connection that is whole; those that are folded are bytes."""
    for slot in paged(tcp["connections_"]["slots_"]):
        whole = pointer_in(slot["whole"])
        if int(whole) != 0:
            yield whole.dereference()


# --- words for connections --------------------------------------------------------------------------------------------


def connection_line(c):
    snd = c["snd_"]
    tuple_ = c["demux_"]["tuple"]
    queued = int(c["queue_"]["end_"]) - int(c["queue_"]["begin_"])
    readable = int(c["rcv_"]["queue_"]["next_"]) - int(c["rcv_"]["queue_"]["read_position_"])
    return "#%d %-12s %s <-> %s  una %d nxt %d wnd %d cwnd %d  to read %d, to send %d" % (
        int(c["number_"]), state(c["state_"]), endpoint(tuple_["local"]), endpoint(tuple_["remote"]), pos(snd["una"]),
        pos(snd["nxt"]), int(snd["wnd"]), int(c["congestion_"]["w_"]["cwnd"]), readable, queued)


def connection_page(c):
    snd, rcv, rtt, recovery = c["snd_"], c["rcv_"], c["rtt_"], c["recovery_"]
    queue = rcv["queue_"]
    nxt = int(queue["next_"]) + 1 + (1 if rcv["fin_reached_"] else 0)
    lines = [connection_line(c)]
    lines.append("  send     SND.UNA %d  SND.NXT %d  SND.WND %d (largest %d)  WL1 %d  WL2 %d" % (
        pos(snd["una"]), pos(snd["nxt"]), int(snd["wnd"]), int(snd["max_wnd"]), pos(snd["wl1"]), pos(snd["wl2"])))
    lines.append("  receive  RCV.NXT %d  right edge %d  held out of order %d" % (nxt, pos(rcv["edge_"]), int(queue["out_of_order_bytes_"])))
    ssthresh = int(c["congestion_"]["w_"]["ssthresh"])
    lines.append("  cwnd %d  ssthresh %s  %s  recover %d  duplicate ACKs %d" % (
        int(c["congestion_"]["w_"]["cwnd"]), "not set" if ssthresh == 2 ** 32 - 1 else ssthresh,
        str(recovery["state_"]).split("::")[-1], pos(recovery["high_seq_"]), int(recovery["duplicates_"])))
    lines.append("  SRTT %s  RTTVAR %s  RTO %s  timeouts in a row %d" % (
        duration(nanoseconds(rtt["srtt_"])), duration(nanoseconds(rtt["rttvar_"])), duration(nanoseconds(rtt["rto_"])), int(c["timeouts_"])))
    names = ["rto", "reordering", "tail probe", "pacing", "delayed ACK", "persist", "keep-alive", "FIN-WAIT-2"]
    times = [nanoseconds(c["timers_"]["at_"]["_M_elems"][i]) for i in range(len(names))]
    running = ["%s at t=%.6f s" % (n, t / 1e9) for n, t in zip(names, times) if t != NEVER]
    lines.append("  timers   " + (", ".join(running) or "none"))
    owed = [what for what, member in (("an ACK", "ack_now_"), ("a SYN", "syn_due_"), ("a window probe", "probe_due_"),
                                      ("a keep-alive", "keepalive_due_")) if c[member]]
    lines.append("  owes     " + (", ".join(owed) or "nothing"))
    return "\n".join(lines)


def read_rules():
    """(name, clause, sentence) of each rule, in the order of enum Rule: the header is the table."""
    header = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "stack", "base", "rules.h")
    row = re.compile(r'^  X\(\w+,\s*"([^"]*)",\s*"([^"]*)",\s*(?:\\\s*)?"([^"]*)"\)', re.M)
    with open(header, encoding="utf-8") as f:
        return row.findall(f.read())


RULES = read_rules()


def rule(number):
    return RULES[number]


# --- commands ---------------------------------------------------------------------------------------------------------


class Limpid(gdb.Command):
    """Look into Limpid's stack: limpid conns | conn N | break STATE->STATE | break RULE | rules [word]"""

    def __init__(self):
        super().__init__("limpid", gdb.COMMAND_USER, gdb.COMPLETE_NONE, True)


class Conns(gdb.Command):
    """Every TCP socket of the stack in sight: listeners, half-open ones, connections, TIME-WAIT."""

    def __init__(self):
        super().__init__("limpid conns", gdb.COMMAND_USER)

    def invoke(self, argument, from_tty):
        tcp = find_tcp()
        shown = 0
        for l in slab(tcp["listeners_"]):
            print("   LISTEN       %s  backlog %d" % (endpoint(l["local"]), int(l["backlog"])))
            shown += 1
        for h in slab(tcp["half_open_"]):
            t = h["demux"]["tuple"]
            print("#%d SYN-RECEIVED %s <-> %s  SYN,ACKs sent %d" % (int(h["number"]), endpoint(t["local"]), endpoint(t["remote"]), int(h["sent"])))
            shown += 1
        for c in connections(tcp):
            print(connection_line(c))
            shown += 1
        folded = int(tcp["connections_"]["folded_"])
        if folded > 0:
            print("and %d idle connections that are folded: `limpid ss` shows them" % folded)
            shown += folded
        for w in slab(tcp["time_wait_"]):
            t = w["demux"]["tuple"]
            print("#%d TIME-WAIT    %s <-> %s  until t=%.6f s" % (int(w["number"]), endpoint(t["local"]), endpoint(t["remote"]),
                                                             nanoseconds(w["timer"]["deadline"]) / 1e9))
            shown += 1
        if shown == 0:
            print("no TCP sockets")


class Conn(gdb.Command):
    """One connection, by its number in `limpid conns`, in the words of RFC 9293; without a number, that of this frame."""

    def __init__(self):
        super().__init__("limpid conn", gdb.COMMAND_USER)

    def invoke(self, argument, from_tty):
        if not argument:
            frame = gdb.selected_frame()
            while frame is not None:
                try:
                    this = frame.read_var("this").dereference()
                    if this.type.strip_typedefs().unqualified().name == "limpid::Connection":
                        print(connection_page(this))
                        return
                except (ValueError, RuntimeError, gdb.error):
                    pass
                frame = frame.older()
            raise gdb.GdbError("no frame here belongs to a connection; say its number: limpid conn 1")
        if not argument.isdigit():
            raise gdb.GdbError("not a number: %s" % argument)
        for c in connections(find_tcp()):
            if int(c["number_"]) == int(argument):
                print(connection_page(c))
                return
        raise gdb.GdbError("no connection %s" % argument)


class Break(gdb.Command):
    """Stop at a state change (limpid break SYN-SENT->ESTABLISHED, limpid break ->TIME-WAIT) or where a rule sends a
    segment (limpid break recovery.rto)."""

    def __init__(self):
        super().__init__("limpid break", gdb.COMMAND_USER)

    def invoke(self, argument, from_tty):
        change = re.fullmatch(r"\s*([A-Z0-9-]*?)\s*->\s*([A-Z0-9-]+)\s*", argument)
        if change:
            self.at_state_change(*change.groups())
        else:
            self.at_rule(argument.strip())

    @staticmethod
    def at_state_change(before, after):
        for name in filter(None, (before, after)):
            if name not in STATES:
                raise gdb.GdbError("no such state: %s (there are %s)" % (name, ", ".join(STATES)))
        StateBreakpoint(STATES.index(before) if before else None, STATES.index(after))

    @staticmethod
    def at_rule(name):
        for number in range(len(RULES)):
            if rule(number)[0] == name:
                RuleBreakpoint(number)
                return
        raise gdb.GdbError("no such rule: %s (limpid rules lists them)" % name)


class StateBreakpoint(gdb.Breakpoint):
    """Connection::set_state computes the new state; it is stopped at before it does."""

    def __init__(self, before, after):
        self.before, self.after = before, after
        super().__init__("limpid::Connection::set_state")

    def stop(self):
        frame = gdb.selected_frame()
        before = int(frame.read_var("this")["state_"])
        event = int(frame.read_var("event"))
        # Read from the table, not by a call in the stopped program: gdb 13 cannot write the registers of processors with AMX.
        table = gdb.parse_and_eval("'limpid::(anonymous namespace)::kTable'")
        after = int(table["_M_elems"][before]["after"]["_M_elems"][event])
        return after == self.after and after != before and self.before in (None, before)


class RuleBreakpoint(gdb.Breakpoint):
    def __init__(self, number):
        self.rule = number
        super().__init__("limpid::Connection::transmit")

    def stop(self):
        return int(gdb.selected_frame().read_var("plan")["why"]) == self.rule


class Rules(gdb.Command):
    """The rules that explain what the stack does: limpid rules [word]"""

    def __init__(self):
        super().__init__("limpid rules", gdb.COMMAND_USER)

    def invoke(self, argument, from_tty):
        for number in range(1, len(RULES)):
            name, clause, because = rule(number)
            if argument in name or argument in because:
                print("%-26s %-28s %s" % (name, clause, because))


gdb.printing.register_pretty_printer(None, build_printers(), replace=True)
for command in (Limpid, Conns, Conn, Break, Rules):
    command()
