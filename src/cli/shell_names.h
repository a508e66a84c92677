// What `kubectl` and `istioctl` mean inside `lateen shell`. Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace lateen::cli {

// Either a command of lateen with its arguments, or a refusal.
struct Translated {
  std::string command;                 // "apply"; empty: refused
  std::vector<std::string> args;
  std::string refusal;                 // what to do instead; without the program's name in front
};

Translated translate_kubectl(std::span<const std::string> args);
Translated translate_istioctl(std::span<const std::string> args);

}  // namespace lateen::cli
