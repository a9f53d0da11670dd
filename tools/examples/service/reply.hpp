// SPDX-License-Identifier: MIT
//
// What routes answer, as far as it is not HTTP's own business.
#pragma once

#include <string>
#include <utility>

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>

#include <nlohmann/json.hpp>

namespace service {

using Request = boost::beast::http::request<boost::beast::http::string_body>;
using Status = boost::beast::http::status;

struct Reply {
  Status status = Status::ok;
  std::string body;
  std::string type = "application/json";
};

/// Texts may come from anywhere: what is not UTF-8 in them is replaced.
inline Reply json(Status status, const nlohmann::json& body) {
  return {status, body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n"};
}

inline Reply problem(Status status, std::string text) {
  return json(status, {{"error", std::move(text)}});
}

}  // namespace service
