// The journal: start with <weir/store/journal.hpp>.
#pragma once

#include <weir/store/journal.hpp>
#include <weir/store/journal_check.hpp>
#include <weir/store/journal_client.hpp>
#include <weir/store/location.hpp>
