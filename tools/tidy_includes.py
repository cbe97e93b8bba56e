"""The rule of the standard library's headers: what a file names of it comes from a header that it includes.

`dev` parses the standard library once for all sources of the library (cmake/weir.cmake), so its compiler no longer sees that an
#include is missing; and what one standard library's headers happen to include, another's do not.
"""

import re

from tidy_clang import all_included
from tidy_rules import Finding

CONTAINERS = "array deque list map set span string string_view unordered_map unordered_set vector".split()
# Which header gives which names, as the standard has it. A name in several rows comes from any of them.
GIVEN = """
algorithm: all_of any_of clamp count_if fill fill_n find find_if iter_swap lexicographical_compare max min nth_element partition ranges
algorithm: rotate sort upper_bound
array: array
atomic: atomic atomic_thread_fence memory_order memory_order_acq_rel memory_order_acquire memory_order_consume memory_order_relaxed
atomic: memory_order_release memory_order_seq_cst
bit: bit_cast bit_width countr_one countr_zero endian rotl
cctype: isalnum isprint toupper
charconv: from_chars to_chars
chrono: chrono
cmath: abs ceil exp round sqrt
compare: <=>
concepts: constructible_from derived_from floating_point integral same_as signed_integral unsigned_integral
condition_variable: condition_variable
coroutine: coroutine_handle noop_coroutine suspend_always suspend_never
csignal: signal
cstddef: byte nullptr_t
cstdint: int32_t int64_t int8_t uint16_t uint32_t uint64_t uint8_t uintptr_t
cstdio: FILE fclose ferror fflush fgets fopen fprintf fputc fputs fread fscanf fwrite perror printf puts sscanf
cstdlib: _Exit abort abs aligned_alloc at_quick_exit atexit atoi atol atoll calloc exit free getenv malloc strtod strtoull system
cstring: memcmp memcpy memmove memset strchr strcmp strcpy strerror strstr
deque: deque
exception: current_exception exception exception_ptr make_exception_ptr rethrow_exception terminate uncaught_exceptions
expected: expected unexpected
filesystem: filesystem
fstream: ifstream ofstream
functional: equal_to function hash less plus ref
future: async chrono future future_status launch promise
initializer_list: initializer_list
ios: ios
iterator: back_inserter begin end istreambuf_iterator next prev random_access_iterator size
latch: latch
limits: numeric_limits
list: list
map: less map multimap
memory: addressof enable_shared_from_this make_shared make_unique make_unique_for_overwrite shared_ptr unique_ptr weak_ptr
mutex: lock_guard mutex unique_lock
new: align_val_t bad_alloc get_new_handler new_handler nothrow nothrow_t
optional: nullopt optional
random: random_device
ranges: ranges views
ratio: nano
set: less set
source_location: source_location
span: span
sstream: ostringstream
stdexcept: logic_error runtime_error
stop_token: stop_callback stop_source stop_token
string: getline hash stoul stoull string to_string
string_view: hash string_view
system_error: errc error_code system_error
thread: jthread this_thread thread
tuple: apply get ignore tie tuple tuple_element tuple_element_t tuple_size_v
type_traits: add_lvalue_reference_t conditional_t decay_t invoke_result invoke_result_t is_base_of_v is_constructible_v is_convertible_v
type_traits: is_copy_constructible_v is_enum_v is_floating_point_v is_integral_v is_invocable_r_v is_invocable_v is_lvalue_reference_v
type_traits: is_nothrow_constructible_v is_nothrow_move_constructible_v is_null_pointer_v is_pointer_v is_reference_v is_same_v
type_traits: is_trivially_copyable_v is_trivially_destructible_v is_void_v remove_cvref_t remove_reference_t type_identity type_identity_t
unordered_map: unordered_map
unordered_set: unordered_set
utility: as_const declval exchange forward get ignore in_place in_place_index in_place_t index_sequence index_sequence_for
utility: make_index_sequence move pair swap unreachable
variant: get monostate variant
vector: vector
"""
USE = re.compile(r"(?<![\w:])std::(\w+)|(<=>)")
EVERYWHERE = ("size_t", "ptrdiff_t")  # no header of the standard library does without


def headers_of_names():
    rows = [line.split(": ") for line in GIVEN.strip().split("\n")]
    rows += [(container, "begin end erase erase_if size") for container in CONTAINERS]
    given = {}
    for header, names in rows:
        for name in names.split():
            given.setdefault(name, []).append(header)
    return given


def rule_std_includes(tree):
    """Tests have the headers of all tests in front of them, and are not asked."""
    given = headers_of_names()
    for file in tree.cpp():
        if not file.path.startswith(("src/weir/", "examples/", "bench/")) or file.name.endswith(("_test.cpp", "_test.hpp", "_fuzz.cpp")):
            continue
        included = all_included(tree, file)
        first_uses = {}
        for match in USE.finditer(file.code):
            first_uses.setdefault(match.group(1) or match.group(2), match.start())
        for name, position in first_uses.items():
            if name in EVERYWHERE or included.intersection(given.get(name, ())):
                continue
            line = file.code.count("\n", 0, position) + 1
            if file.allows(line, "std-includes"):
                continue
            needed = f"needs #include <{given[name][0]}>" if name in given else "has no row in tools/tidy_includes.py yet: say which header gives it"
            yield Finding(file.path, line, "std-includes", f"{name if name == '<=>' else 'std::' + name} {needed}")


RULES = (rule_std_includes,)
