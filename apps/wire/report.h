// What happened on the wire, in words and as JSON.
#pragma once

#include <string>

#include "apps/wire/relay.h"
#include "drivers/sim_link.h"

namespace limpid::wire {

std::string report_text(const SimLink& link, const Relay& relay);
std::string report_json(const SimLink& link, const Relay& relay, uint64_t seed);

}  // namespace limpid::wire
