#include "xds/type_descriptors.h"

#include <cstddef>

// The assembler puts the file into the program: half a megabyte is too much for a compiler's array.
__asm__(
    ".section .rodata.lateen_types,\"a\",@progbits\n"
    ".balign 16\n"
    ".globl lateen_types_begin\n"
    "lateen_types_begin:\n"
    ".incbin \"" LATEEN_TYPES_FILE "\"\n"
    ".globl lateen_types_end\n"
    "lateen_types_end:\n"
    ".byte 0\n"
    ".text\n");

extern "C" {
extern const char lateen_types_begin[];
extern const char lateen_types_end[];
}

namespace lateen::xds {

std::string_view type_descriptors() {
  return {lateen_types_begin, static_cast<std::size_t>(lateen_types_end - lateen_types_begin)};
}

}  // namespace lateen::xds
