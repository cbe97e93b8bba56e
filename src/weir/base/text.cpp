#include <weir/base/text.hpp>
