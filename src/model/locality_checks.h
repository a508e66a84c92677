// What istiod's validation says about locality settings, of a DestinationRule or of the mesh.
#pragma once

#include "model/destination_rule.h"
#include "model/reader.h"

namespace lateen::model {

void check_distribute(Reader& reader, const LocalityLbSetting::Distribute& distribute);
void check_failover(Reader& reader, const LocalityLbSetting::Failover& failover);
void check_locality_setting(Reader& reader, const LocalityLbSetting& setting);
void check_zone_aware_setting(Reader& reader, const ZoneAwareLbSetting& setting);

}  // namespace lateen::model
