// SPDX-License-Identifier: MIT
//
// One connection: request after request, until the client or the service has enough.
#pragma once

#include "metrics.hpp"
#include "routes.hpp"
#include "sessions.hpp"

#include <cstdint>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace service {

/// What all sessions use; it outlives them.
struct House {
  Routes& routes;
  Metrics& metrics;
  Sessions& sessions;
  std::uint64_t largest_body;
};

/// On the socket's executor, a strand. Throws nothing but std::bad_alloc.
boost::asio::awaitable<void> serve(boost::asio::ip::tcp::socket socket, House house);

}  // namespace service
