// Whether one match takes every request that another one takes: a statement about patterns, without any request.
#pragma once

#include "model/virtual_service.h"

namespace lateen::analyze {

// Matches everything: no condition at all, or a prefix / or regex .* alone.
bool takes_everything(const model::HttpMatchRequest& match);

// Never true by mistake; may be false where only a closer look at regular expressions would tell.
bool covers(const model::HttpMatchRequest& wide, const model::HttpMatchRequest& narrow);

}  // namespace lateen::analyze
