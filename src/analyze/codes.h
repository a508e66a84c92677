// Every code that Lateen says about manifests: one table with level, text and fix. docs/diagnostics.md lists it, and a test holds the two together.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/diagnostics.h"

namespace lateen::analyze {

struct Code {
  std::string_view code;       // "LTN0101": never given to anything else
  Severity level;              // the usual one; a finding may be milder where less is known
  std::string_view title;      // for the list
  std::string_view text;       // {0}, {1} ...: what is filled in
  std::string_view fix;        // the same
};

// What analyze() finds, in the order of the table.
enum class Finding {
  kWeightSum, kSingleWeight, kUnknownHost, kUnknownSubset, kUnreachableRule, kUnreachableMatch, kNotInEffect, kPrefixTakesMore,
  kNeedlessRegex, kHeaderCase, kIgnoredHeader, kMatchPort, kDestinationPort, kRuleForUnknownHost, kLostMirror,
  kTimeoutShort, kTryLongerThanTimeout, kDelayAndTimeout, kAbortRetried, kNoPercentage,
  kNeverEjected, kOnlyHostEjected, kGatewayErrorsIdle, kPortInheritsNothing, kPolicyPort, kSubsetEmpty, kPolicyForUnknownHost, kDuplicatePolicy,
  kNoGateway, kHostNotOnGateway, kEntryOverlap, kNothingToCheck, kNoSecret, kBadSecret, kCredentialForGateways,
};

const Code& code_of(Finding finding);
// The findings' codes, and before them those of reading (model/codes.h).
std::span<const Code> finding_codes();
std::span<const Code> reading_codes();

// Puts the arguments in place of {0}, {1} ...
std::string fill_in(std::string_view text, std::initializer_list<std::string> arguments);

}  // namespace lateen::analyze
