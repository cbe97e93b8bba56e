// Reading the server's answers as a client does that believes nothing: what is missing, or is no
// text, no number, no list, is empty.
#pragma once

#include <boost/json/fwd.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir::drill {

std::string text_of(const boost::json::value& of, std::string_view field);
std::uint64_t number_of(const boost::json::value& of, std::string_view field);
std::vector<boost::json::value> list_of(const boost::json::value& of, std::string_view field);

}  // namespace weir::drill
